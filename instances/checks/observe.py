"""Looking at instances: what was seen. Writes nothing."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from instances.checks import asking
from instances.checks.check_requests import MISSING, CheckRequest
from instances.containers import storage
from instances.containers.facts import ContainerFacts
from instances.containers.identity import ALIVE, PAUSED, REPLACED, Identified, Listing, identify
from instances.containers.published import is_located
from instances.engine.port import Engine
from instances.errors import ContainerHung, DockmgrError, EngineUnreachable, OwnTrouble, UnreadableSecret
from instances.health.response import ENGINE_REFUSED, PROBER, Outcome, sentence
from instances.health.state import CRASH_LOOP_RESTARTS, Observation
from instances.http.probe import Address, ProbeResult
from instances.outside import Outside

logger = logging.getLogger(__name__)

RUNNING = "running"


class Check(Struct, frozen=True):
    """A request and what was seen for it: the unit that is judged and recorded.

    `again` marks one whose message was taken before, by somebody who may have recorded it.
    """

    request: CheckRequest
    seen: Observation
    again: bool = False


class FetchedAnswer(Struct, frozen=True):
    """An instance's answer that somebody has fetched already, and when they began."""

    result: ProbeResult
    started: datetime


def asks_first(request: CheckRequest) -> Address | None:
    """Whom a look begins with; None where that is the engine, or a reason of ours is in the way."""
    if request.distrust or request.listed not in (RUNNING, None):
        return None
    if not asking.asks_network(request.ask) or not is_located(request.url):
        return None
    try:
        return asking.address(request.url, request.expect, request.ask)
    except UnreadableSecret:
        return None


def settled(request: CheckRequest, fetched: FetchedAnswer, now: datetime) -> Check | None:
    """The check, where the answer says enough; None where the engine has to be asked as well.

    Of one that says it is starting, the engine knows since when.
    """
    if fetched.result.outcome in (Outcome.FAIL, Outcome.STARTING):
        return None
    return Check(request, _from_probe(request, fetched.result, fetched.started, now))


def observe(
    request: CheckRequest, outside: Outside, timeout: float, fetched: FetchedAnswer | None = None
) -> Check:
    """Look at one instance: HTTP first, and at its container only when that is not enough.

    A container can run and not answer, so its state proves nothing; an answer proves both.
    Bounded by `timeout` seconds for HTTP and by the engine's timeout. Never raises: a look that can't
    be made for a reason of ours, a defect included, has the reason `prober` and says nothing. What was
    `fetched` already is not asked again.
    """
    started = fetched.started if fetched else outside.clock.now()
    try:
        return _observe(request, outside, timeout, started, fetched)
    except Exception as error:
        if not isinstance(error, OwnTrouble):
            frames = traceback.format_list(traceback.extract_tb(error.__traceback__))  # without its text
            logger.error("Looking at %s met a defect.\n%s", request.customer_id, "".join(frames))
        return Check(request, _unknown(request, sentence(PROBER), started, outside.clock.now(), PROBER))


def _observe(
    request: CheckRequest, outside: Outside, timeout: float, started: datetime, fetched: FetchedAnswer | None
) -> Check:
    if request.distrust:
        return unseen(request, request.distrust, started)
    now, result = outside.clock.now, None
    if request.listed in (RUNNING, None):
        result = fetched.result if fetched else _asked(request, outside, timeout)
        if result and (check := settled(request, FetchedAnswer(result, started), now())):
            return check
    try:
        look = outside.engines.look(request.engine, lambda engine: _look(engine, request))
    except DockmgrError as error:
        return Check(request, _not_shown(request, error, started, now()))
    reason = look.trouble(now())
    if look.is_paused and not reason:
        return Check(request, _paused(request, look, started, now()))
    if look.facts is not None and result is None and not reason:
        request = request.located(look.facts.address)
        result = _asked(request, outside, timeout) or asking.reported(request.ask, look.facts)
    return Check(request, _from_look(request, look, reason, result, started, now()))


def _not_shown(
    request: CheckRequest, error: DockmgrError, started: datetime, finished: datetime
) -> Observation:
    """What follows where the engine did not show the container. Raises what is a trouble of our own."""
    if isinstance(error, OwnTrouble):
        raise error
    if isinstance(error, EngineUnreachable):
        return _unknown(request, str(error), started, finished)
    if isinstance(error, ContainerHung):
        return _failed(request, "hung", started, finished)
    # Its text may quote what the engine said, which this process can't redact.
    return _unknown(request, sentence(ENGINE_REFUSED), started, finished, ENGINE_REFUSED)


def _asked(request: CheckRequest, outside: Outside, timeout: float) -> ProbeResult | None:
    """What can be seen without the engine; None where only that can tell."""
    if asking.asks_network(request.ask):
        if not is_located(request.url):
            return None
        return asking.probed(request.url, request.expect, request.ask, outside, timeout)
    if request.listed == RUNNING and request.reported is not None:
        return asking.by_report(request.ask, request.reported)
    return None


@dataclass(frozen=True)
class _Look:
    """What the engine showed: the instance's own container, what is odd about it, and if its data is lost."""

    facts: ContainerFacts | None
    identified: Identified
    lost: bool

    @property
    def is_paused(self) -> bool:
        return self.facts is not None and self.facts.state == PAUSED

    def trouble(self, now: datetime) -> str:
        """The reason the containers themselves are a failure, or nothing."""
        if self.lost:
            return "data_missing"
        if self.identified.aside or (self.facts is None and self.identified.stranger):
            return REPLACED
        return container_trouble(self.facts, now)


def _look(engine: Engine, request: CheckRequest) -> _Look:
    known = {facts.id: facts for facts in _candidates(engine, request)}
    there = Listing.of((facts.summary for facts in known.values()), request.installation or "")
    found = identify(request.wanted, there)
    facts = known[found.container.id] if found.container else None
    nothing = facts is None and found.stranger is None
    lost = nothing and any(_is_lost(engine, name, request.customer_id) for name in request.volumes)
    return _Look(facts, found, lost)


def _is_lost(engine: Engine, volume: str, customer_id: str) -> bool:
    labels = engine.volume_labels(volume)
    return labels is None or storage.is_foreign(labels, customer_id, adopted=True)


def _candidates(engine: Engine, request: CheckRequest) -> Iterator[ContainerFacts]:
    """The containers that may be the instance's; the one of its id and name is enough."""
    for which in dict.fromkeys((request.container, request.container_id, request.name)):
        facts = engine.inspect(which) if which else None
        if facts is not None:
            yield facts
            if facts.id == request.container_id and facts.name == request.name:
                return


def _from_probe(
    request: CheckRequest, result: ProbeResult, started: datetime, finished: datetime
) -> Observation:
    return Observation(
        outcome=result.outcome,
        reason=result.reason,
        error=result.error,
        started_at=started,
        finished_at=finished,
        http_status=result.http_status,
        latency_ms=result.latency_ms,
        version=result.version or request.version,
        container_id=request.container_id,
        container_state=request.listed,
        finding=request.finding,
        finding_text=request.finding_text or "",
    )


def unseen(request: CheckRequest, why: str, now: datetime) -> Check:
    """What is known of an instance without looking, because its host can't be reached."""
    return Check(request, _unknown(request, why, now, now))


def _unknown(
    request: CheckRequest, error: str, started: datetime, finished: datetime, reason: str = "engine"
) -> Observation:
    return Observation(
        outcome=Outcome.UNKNOWN,
        reason=reason,
        error=error,
        started_at=started,
        finished_at=finished,
        container_id=request.container_id,
    )


def _failed(request: CheckRequest, reason: str, started: datetime, finished: datetime) -> Observation:
    return replace(_unknown(request, sentence(reason), started, finished, reason), outcome=Outcome.FAIL)


def _paused(request: CheckRequest, look: _Look, started: datetime, finished: datetime) -> Observation:
    """Somebody holds the container still, as backups do: that is no failure, and no reason to restart it."""
    told = sentence(PAUSED)
    return replace(
        _unknown(request, told, started, finished, PAUSED),
        container_state=PAUSED,
        finding=look.identified.finding or PAUSED if request.name else None,
        finding_text=look.identified.sentence or told,
    )


def _from_look(
    request: CheckRequest,
    look: _Look,
    reason: str,
    result: ProbeResult | None,
    started: datetime,
    finished: datetime,
) -> Observation:
    if not reason and result is not None:
        seen = _from_probe(request, result, started, finished)
    else:
        seen = _failed(request, reason, started, finished)
    facts, found = look.facts, look.identified
    return replace(
        seen,
        error=found.sentence if reason == REPLACED else seen.error,
        container_state=facts.state if facts else MISSING,
        container_started_at=facts.started_at if facts else None,
        container_ended_at=facts.ended_at if facts else None,
        finding=found.finding if request.name else None,
        finding_text=found.sentence,
    )


def container_trouble(facts: ContainerFacts | None, now: datetime) -> str:
    """The reason a container's own state is a failure, or nothing when it runs. Pure."""
    if facts is None:
        return "missing"
    if facts.oom_killed and facts.state not in (RUNNING, PAUSED):
        return "oom_killed"
    if facts.state not in ALIVE:
        return "exited"
    looping = facts.restart_count >= CRASH_LOOP_RESTARTS and (
        facts.state == "restarting"
        or (facts.started_at is not None and now - facts.started_at < timedelta(seconds=30))
    )
    return "crash_loop" if looping else ""
