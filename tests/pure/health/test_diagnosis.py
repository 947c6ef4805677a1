"""Who is at fault for a public URL, for every pair of looks that tells."""

from __future__ import annotations

import pytest

from instances.health.diagnosis import Fault, ProbeView, diagnose
from instances.health.response import Outcome, sentence

URL = "https://user1.example.com/healthz"


def seen(reason: str) -> ProbeView:
    """A look by its reason code; `ok` and `starting` are looks too."""
    if reason in ("ok", "starting"):
        return ProbeView(Outcome(reason), "", 200)
    status = int(reason[5:]) if reason.startswith("http_") else 302 if reason == "redirect" else None
    outcome = Outcome.UNKNOWN if reason in ("prober", "engine") else Outcome.FAIL
    return ProbeView(outcome, reason, status, sentence(reason))


# (inside, outside): (fault, words of the sentence)
TABLE: dict[tuple[str, str], tuple[Fault, str]] = {
    ("ok", "ok"): (Fault.NONE, "answers with 200"),
    ("ok", "dns"): (Fault.DNS, "the host name does not exist"),
    ("ok", "private_address"): (Fault.DNS, "private network"),
    ("ok", "tls"): (Fault.TLS, "the TLS connection could not be trusted"),
    ("ok", "refused"): (Fault.PROXY, "nothing listens"),
    ("ok", "unreachable"): (Fault.PROXY, "nothing listens"),
    ("ok", "timeout"): (Fault.PROXY, "gives no answer"),
    ("ok", "closed"): (Fault.PROXY, "gives no answer"),
    ("ok", "bad_response"): (Fault.PROXY, "gives no answer"),
    ("ok", "http_502"): (Fault.PROXY, "does not get through to it (HTTP 502)"),
    ("ok", "http_503"): (Fault.PROXY, "does not get through to it (HTTP 503)"),
    ("ok", "http_504"): (Fault.PROXY, "does not get through to it (HTTP 504)"),
    ("ok", "redirect"): (Fault.PROXY, "leads elsewhere (HTTP 302)"),
    ("ok", "http_404"): (Fault.PROXY, "leads elsewhere (HTTP 404)"),
    ("ok", "http_421"): (Fault.PROXY, "leads elsewhere (HTTP 421)"),
    ("ok", "http_401"): (Fault.PROXY, "keeps callers out (HTTP 401)"),
    ("ok", "http_403"): (Fault.PROXY, "keeps callers out (HTTP 403)"),
    ("ok", "http_429"): (Fault.PROXY, "keeps callers out (HTTP 429)"),
    ("ok", "http_500"): (Fault.PROXY, "answers something else (HTTP 500)"),
    ("ok", "body_not_ok"): (Fault.PROXY, "answers something else"),
    ("ok", "bad_json"): (Fault.PROXY, "answers something else"),
    ("ok", "too_large"): (Fault.PROXY, "answers something else"),
    ("ok", "starting"): (Fault.PROXY, "answers something else (HTTP 200)"),
    ("ok", "prober"): (Fault.UNKNOWN, "not known who is at fault"),
    ("http_503", "http_503"): (Fault.APP, "HTTP status 503"),
    ("refused", "http_502"): (Fault.APP, "nothing listens on the port"),
    ("exited", "http_502"): (Fault.APP, "the container has exited"),
    ("missing", "redirect"): (Fault.APP, "the container does not exist"),
    ("timeout", "prober"): (Fault.APP, "no complete answer"),
    ("starting", "http_502"): (Fault.APP, "still starting"),
    ("starting", "starting"): (Fault.APP, "still starting"),
    ("refused", "ok"): (Fault.APP, "answers, from elsewhere"),
    ("refused", "dns"): (Fault.APP, "and so is DNS"),
    ("refused", "tls"): (Fault.APP, "and so is TLS"),
    ("engine", "ok"): (Fault.NONE, "answers with 200"),
    ("engine", "dns"): (Fault.DNS, "the host name does not exist"),
    ("engine", "tls"): (Fault.TLS, "the TLS connection"),
    ("engine", "http_502"): (Fault.UNKNOWN, "The app or the proxy is at fault"),
    ("engine", "prober"): (Fault.UNKNOWN, "not known who is at fault"),
}  # fmt: skip


@pytest.mark.parametrize(("looks", "expected"), TABLE.items(), ids=map(" and ".join, TABLE))
def test_each_pair_of_looks_has_one_part_at_fault(
    looks: tuple[str, str], expected: tuple[Fault, str]
) -> None:
    inside, outside = looks
    found = diagnose(seen(inside), seen(outside), URL)
    assert found.fault is expected[0]
    assert expected[1] in found.message


@pytest.mark.parametrize("looks", TABLE, ids=map(" and ".join, TABLE))
def test_whoever_is_at_fault_is_named_in_one_sentence_with_the_url(looks: tuple[str, str]) -> None:
    inside, outside = looks
    found = diagnose(seen(inside), seen(outside), URL)
    words = {Fault.DNS: "DNS is", Fault.TLS: "TLS is", Fault.PROXY: "The proxy is", Fault.APP: "The app is"}
    assert found.message.startswith(words.get(found.fault, ""))
    assert URL in found.message
    assert ". " not in found.message and ".." not in found.message
