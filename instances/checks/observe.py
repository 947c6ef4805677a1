"""Looking at instances: what to ask for each, and what was seen. Writes nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import chain, zip_longest
from typing import Any, Self

from instances.checks import asking
from instances.checks.asking import ask_of
from instances.checks.listings import Seen, Untrusted, as_listed, believed, container_in, list_hosts
from instances.containers.facts import ContainerFacts
from instances.engine.pool import EngineAddress, Engines
from instances.engine.port import Engine
from instances.errors import ContainerHung, DockmgrError, EngineUnreachable
from instances.health.response import VERSION_LENGTH, Outcome, sentence
from instances.health.state import CRASH_LOOP_RESTARTS, Observation
from instances.http.probe import ProbeResult
from instances.models import Instance
from instances.outside import Outside, engine_address

RUNNING = "running"
ALIVE = ("running", "paused", "restarting")
MISSING = "missing"
VERSION_LABEL = "org.opencontainers.image.version"


@dataclass(frozen=True)
class CheckRequest:
    """All a worker needs to look at one instance without reading the database. Holds no secret.

    `listed` is the container's state in its host's list, `missing` when the list lacks it, None
    when there is no list because the engine was out of reach. `leads` marks the one instance by
    which a host is judged whose engine is known to be out of reach. `distrust` says why nothing the
    host shows can be believed. `volumes` are those the data is in. `ask` is what the plan asks beyond
    address and expectation, `reported` what the list says of the image's own health check.
    """

    instance_id: int
    customer_id: str
    container: str
    container_id: str
    url: str
    expect: str
    engine_url: str
    engine_tls: tuple[str, str, str] | None = None
    engine_id: str = ""
    volumes: tuple[str, ...] = ()
    distrust: str | None = None
    ask: dict[str, Any] | None = None
    reported: str | None = None
    listed: str | None = None
    version: str | None = None
    sweep_id: str | None = None
    leads: bool | None = None

    def message(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if value is not None}

    @classmethod
    def from_message(cls, message: dict[str, Any]) -> Self:
        tls = message.get("engine_tls")
        volumes = tuple(message.get("volumes") or ())
        return cls(**{**message, "engine_tls": tuple(tls) if tls else None, "volumes": volumes})

    @property
    def engine(self) -> EngineAddress:
        return EngineAddress(self.engine_url, self.engine_tls, self.engine_id)


@dataclass(frozen=True)
class Check:
    """A request and what was seen for it: the unit that is judged and recorded."""

    request: CheckRequest
    seen: Observation


def requests_for(
    instances: Sequence[Instance], engines: Engines, sweep_id: str | None = None
) -> list[CheckRequest]:
    """One request per instance, in their order, informed by one container list per host."""
    of_host = _by_host(instances)
    listings = {
        address: believed(of_host[address], listing, engines)
        for address, listing in list_hosts(of_host, engines).items()
    }
    return [_informed(instance, listings[engine_address(instance.host)], sweep_id) for instance in instances]


def requests_in_turn(
    instances: Sequence[Instance], engines: Engines, sweep_id: str | None = None
) -> Iterator[list[CheckRequest]]:
    """`requests_for`, first of all hosts that list at once, then of each that does when it has.

    Within a list hosts take turns, so that none has to wait until another one is through.
    """
    of_host = _by_host(instances)
    for listings in as_listed(of_host, engines):
        yield interleaved(
            _of_one_host(of_host[address], believed(of_host[address], listing, engines), sweep_id)
            for address, listing in listings.items()
        )


def _by_host(instances: Iterable[Instance]) -> dict[EngineAddress, list[Instance]]:
    of_host: dict[EngineAddress, list[Instance]] = defaultdict(list)
    for instance in instances:
        of_host[engine_address(instance.host)].append(instance)
    return of_host


def _of_one_host(instances: Iterable[Instance], listing: Seen, sweep_id: str | None) -> list[CheckRequest]:
    return [_informed(instance, listing, sweep_id) for instance in instances]


def interleaved(of_hosts: Iterable[list[CheckRequest]]) -> list[CheckRequest]:
    """One of each host, then the next of each. Pure."""
    rounds = chain.from_iterable(zip_longest(*of_hosts))
    return [request for request in rounds if request is not None]


def _informed(instance: Instance, listing: Seen, sweep_id: str | None) -> CheckRequest:
    if isinstance(listing, Untrusted):
        return replace(request_for(instance, None), distrust=listing.sentence, sweep_id=sweep_id)
    container = container_in(listing, instance)
    listed = None if listing is None else container.state if container else MISSING
    label = container.labels.get(VERSION_LABEL) if container else None
    version = (label or _tag(instance.image_ref) or "")[:VERSION_LENGTH] or None
    request = replace(request_for(instance, listed), version=version, sweep_id=sweep_id)
    return replace(request, reported=container.health) if container and request.ask else request


def request_for(instance: Instance, listed: str | None) -> CheckRequest:
    """What to ask of one instance whose container is known, or believed, to be in a state."""
    address = engine_address(instance.host)
    return CheckRequest(
        instance_id=instance.pk,
        customer_id=instance.customer_id,
        container=instance.container_name,
        container_id=instance.container_id,
        url=instance.health_url,
        expect=instance.plan.health_expect,
        ask=ask_of(instance.plan),
        engine_url=address.url,
        engine_tls=address.tls,
        engine_id=address.engine_id,
        volumes=tuple(instance.held_volumes),
        listed=listed,
    )


def _tag(image: str) -> str | None:
    """The tag of a reference, unless it is none that tells a version."""
    name, _, tag = image.partition("@")[0].rpartition(":")
    return tag if name and name != "sha256" and "/" not in tag and tag != "latest" else None


def observe(request: CheckRequest, outside: Outside, timeout: float) -> Check:
    """Look at one instance: HTTP first, and at its container only when that is not enough.

    A container can run and not answer, so its state proves nothing; an answer proves both.
    Bounded by `timeout` seconds for HTTP and by the engine's timeout. Never raises for anything
    an instance or its host does.
    """
    started = outside.clock.now()
    if request.distrust:
        return Check(request, _unknown(request, request.distrust, started, started))
    result: ProbeResult | None = None
    if request.listed in (RUNNING, None):
        result = _asked(request, outside, timeout)
        if result is not None and result.outcome is not Outcome.FAIL:
            return Check(request, _from_probe(request, result, started, outside.clock.now()))
    try:
        facts, lost = outside.engines.look(request.engine, lambda engine: _look(engine, request))
    except EngineUnreachable as error:
        seen = _unknown(request, str(error), started, outside.clock.now())
    except ContainerHung:
        seen = _failed(request, "hung", started, outside.clock.now())
    except DockmgrError:  # its text may quote what the engine said, which this process can't redact
        seen = _unknown(request, sentence("engine_refused"), started, outside.clock.now())
    else:
        reason = "data_missing" if lost else container_trouble(facts, outside.clock.now())
        if facts is not None and result is None and not reason:
            result = _asked(request, outside, timeout) or asking.reported(request.ask, facts)
        seen = _from_facts(request, facts, reason, result, started, outside.clock.now())
    return Check(request, seen)


def _asked(request: CheckRequest, outside: Outside, timeout: float) -> ProbeResult | None:
    """What can be seen without the engine; None where only that can tell."""
    if asking.asks_network(request.ask):
        return asking.probed(request.url, request.expect, request.ask, outside, timeout)
    if request.listed == RUNNING and request.reported is not None:
        return asking.by_report(request.ask, request.reported)
    return None


def _look(engine: Engine, request: CheckRequest) -> tuple[ContainerFacts | None, bool]:
    """The container, and whether it is gone together with data of it."""
    facts = engine.inspect(request.container)
    lost = facts is None and any(engine.volume_labels(name) is None for name in request.volumes)
    return facts, lost


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
    )


def unseen(request: CheckRequest, why: str, now: datetime) -> Check:
    """What is known of an instance without looking, because its host can't be reached."""
    return Check(request, _unknown(request, why, now, now))


def _unknown(request: CheckRequest, error: str, started: datetime, finished: datetime) -> Observation:
    return Observation(
        outcome=Outcome.UNKNOWN,
        reason="engine",
        error=error,
        started_at=started,
        finished_at=finished,
        container_id=request.container_id,
    )


def _failed(request: CheckRequest, reason: str, started: datetime, finished: datetime) -> Observation:
    return Observation(
        outcome=Outcome.FAIL,
        reason=reason,
        error=sentence(reason),
        started_at=started,
        finished_at=finished,
        container_id=request.container_id,
    )


def _from_facts(
    request: CheckRequest,
    facts: ContainerFacts | None,
    reason: str,
    result: ProbeResult | None,
    started: datetime,
    finished: datetime,
) -> Observation:
    if not reason and result is not None:
        seen = _from_probe(request, result, started, finished)
    else:
        seen = _failed(request, reason, started, finished)
    if facts is None:
        return replace(seen, container_state=MISSING)
    return replace(
        seen,
        container_state=facts.state,
        container_started_at=facts.started_at,
        container_ended_at=facts.ended_at,
    )


def container_trouble(facts: ContainerFacts | None, now: datetime) -> str:
    """The reason a container's own state is a failure, or nothing when it runs. Pure."""
    if facts is None:
        return "missing"
    if facts.oom_killed and facts.state not in (RUNNING, "paused"):
        return "oom_killed"
    if facts.state not in ALIVE:
        return "exited"
    looping = facts.restart_count >= CRASH_LOOP_RESTARTS and (
        facts.state == "restarting"
        or (facts.started_at is not None and now - facts.started_at < timedelta(seconds=30))
    )
    return "crash_loop" if looping else ""
