"""Who is at fault when customers can't reach an instance: pure judgement of a look inside and one outside."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from instances.health.response import Outcome


class Fault(StrEnum):
    """Which part to mend. UNKNOWN: the looks could not be made, or do not tell."""

    NONE = ""
    APP = "app"
    PROXY = "proxy"
    DNS = "dns"
    TLS = "tls"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class ProbeView:
    """What a probe of one address saw; `error` is its sentence, empty when all is well."""

    outcome: Outcome
    reason: str = ""
    http_status: int | None = None
    error: str = ""


@dataclass(frozen=True)
class Diagnosis:
    """The part at fault and one sentence about it."""

    fault: Fault
    message: str


_BEFORE_THE_PROXY = {"dns": Fault.DNS, "tls": Fault.TLS, "private_address": Fault.DNS}
_CALLED = {Fault.DNS: "DNS", Fault.TLS: "TLS"}
_DOES_NOT_LISTEN = frozenset({"refused", "unreachable"})
_DOES_NOT_ANSWER = frozenset({"timeout", "closed", "bad_response"})
_NO_WAY_TO_THE_APP = frozenset({"http_502", "http_503", "http_504"})
_ROUTES_ELSEWHERE = frozenset({"redirect", "http_404", "http_421"})
_KEEPS_CALLERS_OUT = frozenset({"http_401", "http_403", "http_407", "http_429"})


def diagnose(inside: ProbeView, outside: ProbeView, url: str) -> Diagnosis:
    """Judge the public `url`, seen from outside, by what the published address on the host answers.

    DNS and TLS are at fault by themselves, whatever the app does. Of the rest the app is at fault
    when it is not well inside, else the proxy: everything between the URL and the app.
    """
    before = _BEFORE_THE_PROXY.get(outside.reason)
    if inside.outcome in (Outcome.FAIL, Outcome.STARTING):
        return _ill(inside, outside, before, url)
    if before:
        return Diagnosis(before, f"{_CALLED[before]} is at fault for {url}: {_why(outside)}")
    if outside.outcome is Outcome.OK:
        return Diagnosis(Fault.NONE, f"{url} answers with {outside.http_status}")
    if outside.outcome is Outcome.UNKNOWN:
        return Diagnosis(Fault.UNKNOWN, f"It is not known who is at fault for {url}: {_why(outside)}")
    if inside.outcome is Outcome.UNKNOWN:
        return Diagnosis(Fault.UNKNOWN, f"The app or the proxy is at fault for {url}: {_why(outside)}")
    text = f"The proxy is at fault: the app itself is well, but {_what_proxy_does(outside, url)}."
    return Diagnosis(Fault.PROXY, text)


def _ill(inside: ProbeView, outside: ProbeView, before: Fault | None, url: str) -> Diagnosis:
    if outside.outcome is Outcome.OK:
        beside = f" although {url} answers, from elsewhere"
    elif before:
        beside = f" for {url}, and so is {_CALLED[before]}"
    else:
        beside = f" for {url}"
    return Diagnosis(Fault.APP, f"The app is at fault{beside}: {_why(inside)}")


def _why(look: ProbeView) -> str:
    """The look's sentence as the end of another one."""
    if look.outcome is Outcome.STARTING:
        return "it is still starting."
    return look.error[:1].lower() + look.error[1:]


def _what_proxy_does(outside: ProbeView, url: str) -> str:
    status = f" (HTTP {outside.http_status})" if outside.http_status else ""
    if outside.reason in _DOES_NOT_LISTEN:
        return f"nothing listens at {url}"
    if outside.reason in _DOES_NOT_ANSWER:
        return f"{url} gives no answer to the end"
    if outside.reason in _NO_WAY_TO_THE_APP:
        return f"{url} does not get through to it{status}"
    if outside.reason in _ROUTES_ELSEWHERE:
        return f"{url} leads elsewhere{status}"
    if outside.reason in _KEEPS_CALLERS_OUT:
        return f"{url} keeps callers out{status}"
    return f"{url} answers something else{status}"
