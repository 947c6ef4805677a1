"""Putting a plan's question to one instance, and what its engine knows of the answer."""

from __future__ import annotations

from typing import Any

from instances.containers.facts import ContainerFacts
from instances.errors import UnreadableSecret
from instances.health.question import KINDS_OVER_HTTP, THERE
from instances.health.response import PROBER, Expect, Outcome, sentence
from instances.http.probe import Address, ProbeResult
from instances.models import Plan
from instances.models.encrypted import Sealed, column_place, sealed
from instances.outside import Outside

Ask = dict[str, Any]
_REPORTED = {"healthy": (Outcome.OK, ""), "starting": (Outcome.STARTING, "")}


def ask_of(plan: Plan) -> Ask | None:
    """What a check's message says of the question beyond address and expectation; its headers stay sealed."""
    headers = sealed(plan, "health_headers")
    ask = {key: value for key, value in plan.health.items() if key != "port"}
    return ({**ask, "headers": headers, "plan": plan.pk} if headers else ask) or None


def asks_network(ask: Ask | None) -> bool:
    """Whether the instance itself is asked, and not its engine."""
    return _kind(ask) in (*KINDS_OVER_HTTP, "tcp")


def _kind(ask: Ask | None) -> str:
    return str((ask or {}).get("kind", "http"))


def address(url: str, expect: str, ask: Ask | None, *, public_only: bool = False) -> Address:
    """Where and how to ask as the plan says. Raises UnreadableSecret."""
    said = ask or {}
    return Address(
        url,
        Expect(expect),
        host=said.get("host") or "",
        headers=_headers(said),
        status=tuple(said.get("status") or ()),
        tls_verify=said.get("tls_verify", True),
        public_only=public_only,
    )


def probed(
    url: str, expect: str, ask: Ask | None, outside: Outside, timeout: float, *, public_only: bool = False
) -> ProbeResult:
    """One look at the address as the plan asks for it."""
    try:
        asked = address(url, expect, ask, public_only=public_only)
    except UnreadableSecret as error:
        return ProbeResult(Outcome.UNKNOWN, PROBER, None, 0, None, str(error))
    return outside.probe(asked, timeout)


def _headers(said: Ask) -> dict[str, str]:
    """The plan's headers, opened. A message can't have another secret of ours sent in their place."""
    if not said.get("headers"):
        return {}
    opened: dict[str, str] = Sealed(said["headers"]).open(
        column_place(Plan, "health_headers", said.get("plan"))
    )
    return opened


def public_url(base: str, plan: Plan) -> str:
    """What is asked at a public address: the plan's health path, where it asks over HTTP."""
    return base + (plan.health_path if _kind(ask_of(plan)) in KINDS_OVER_HTTP else "/")


def probed_publicly(
    url: str, plan: Plan, outside: Outside, timeout: float, *, public_only: bool = False
) -> ProbeResult:
    """One look at a plan's `public_url`; where it asks no HTTP question, a server there will do.

    With `public_only` addresses that lead back into one's own network are refused.
    """
    ask = {**(ask_of(plan) or {}), "host": "", "tls_verify": True}
    if _kind(ask) not in KINDS_OVER_HTTP:
        return probed(url, Expect.HTTP_2XX, {"status": THERE}, outside, timeout, public_only=public_only)
    return probed(url, plan.health_expect, ask, outside, timeout, public_only=public_only)


def reported(ask: Ask | None, facts: ContainerFacts) -> ProbeResult:
    """What a running container's engine says of its health."""
    return by_report(ask, facts.health)


def by_report(ask: Ask | None, word: str) -> ProbeResult:
    """What the engine's word for a running container's health means for the plan's question."""
    if _kind(ask) == "none":
        return ProbeResult(Outcome.OK, "", None, 0, None, "")
    failed = (Outcome.FAIL, "docker_unhealthy" if word else "no_healthcheck")
    outcome, reason = _REPORTED.get(word, failed)
    return ProbeResult(outcome, reason, None, 0, None, sentence(reason))
