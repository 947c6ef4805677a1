"""A container's last words, kept before it is stopped or removed and when it is found dead.

A courtesy: whatever is in the way of it costs a moment and one line in the log, and stops nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from functools import partial

from instances.checks.record import Recorded
from instances.engine.port import Engine
from instances.errors import NotFoundOnEngine
from instances.health.state import DIED
from instances.incidents.lifecycle import add_event
from instances.incidents.rules import RESOURCES
from instances.lib.durations import span
from instances.lib.log_lines import Tail
from instances.lib.sizes import shown
from instances.lib.time_limit import within
from instances.models import Incident, Instance, LastWords, Operation, Usage
from instances.monitoring.deaths import Crash
from instances.operations.attempts import courtesy
from instances.operations.read_logs import tail_of
from instances.outside import Outside, engine_address

LINES = 200
MOST_BYTES = 64 * 1024
MOST_AN_HOUR = 10  # of one incident's crashes
SECONDS = 3.0
MEMORY_KNOWN = timedelta(minutes=10)  # how long a reading says something about a death


def _unquoted(_said: str) -> str:
    """What an engine says may quote a secret, and nobody needs it here."""
    return "they could not be read."


def keep_before_end(
    instance: Instance, engine: Engine, operation: Operation, container: str, now: datetime
) -> None:
    """Keep what a container wrote that an operation is about to stop or remove; once for each."""

    def keep() -> None:
        if not container or LastWords.objects.filter(operation=operation, container_id=container).exists():
            return
        _keep(instance, engine, container, now, operation)

    courtesy(f"The last words of {instance.customer_id}", keep, _unquoted)


def keep_of_death(recorded: Recorded, outside: Outside) -> None:
    """Keep what a container wrote whose end a check has just found."""
    if not is_new_death(recorded):
        return
    request = recorded.check.request

    courtesy(
        f"The memory of {request.customer_id}", lambda: note_memory(request.instance_id, outside.clock.now())
    )

    def keep() -> None:
        instance = Instance.objects.select_related("plan", "host").get(pk=request.instance_id)
        engine = outside.engines.at(engine_address(instance.host))
        _keep(instance, engine, request.container, outside.clock.now())

    courtesy(f"The last words of {request.customer_id}", keep, _unquoted)


def keep_of_crashes(crashes: Iterable[Crash], outside: Outside) -> None:
    """Keep what containers wrote before they crashed, though their engines have started them again."""
    for crash in crashes:
        now = outside.clock.now()
        lately = LastWords.objects.filter(incident=crash.incident_id, at__gt=now - timedelta(hours=1))
        if lately.count() < MOST_AN_HOUR:
            courtesy(
                f"The last words of {crash.customer_id}", partial(_keep_of_crash, crash, outside), _unquoted
            )


def _keep_of_crash(crash: Crash, outside: Outside) -> None:
    instance = Instance.objects.select_related("plan", "host").get(pk=crash.instance_id)
    incident = Incident.objects.get(pk=crash.incident_id)
    engine = outside.engines.at(engine_address(instance.host))
    _keep(instance, engine, crash.container_id, outside.clock.now(), incident=incident, until=crash.at)


def note_memory(instance_id: int, now: datetime) -> None:
    """Write into the incident how much memory the container had when it was last seen alive."""
    row = Usage.objects.filter(pk=instance_id, read_at__gt=now - MEMORY_KNOWN).first()
    incident = Incident.objects.open().filter(kind="instance", instance=instance_id).first()
    if row is None or row.memory is None or incident is None:
        return
    limit = f" of {shown(row.memory_limit)}" if row.memory_limit else ""
    read = f", read {span((now - row.read_at).total_seconds())} before" if row.read_at else ""
    add_event(incident, RESOURCES, f"at {shown(row.memory)}{limit} of memory when it died{read}", now)


def is_new_death(recorded: Recorded) -> bool:
    """Whether a check found that a container has ended by itself, as the beginning of an outage."""
    verdict = recorded.verdict
    begins = verdict is not None and verdict.state.down_since is not None
    return begins and recorded.before.down_since is None and recorded.seen.reason in DIED


def _keep(
    instance: Instance,
    engine: Engine,
    container: str,
    now: datetime,
    operation: Operation | None = None,
    *,
    incident: Incident | None = None,
    until: datetime | None = None,
) -> None:
    """`incident` is the one they belong to, if not the open one of its health."""
    read = partial(tail_of, engine, container, LINES, instance.redactor, SECONDS, MOST_BYTES, until)
    found = within(SECONDS, lambda: _read(read))
    if found is None or not found.lines:
        return
    LastWords.objects.create(
        customer_id=instance.customer_id,
        operation=operation,
        incident=incident or Incident.objects.open().filter(kind="instance", instance=instance).first(),
        container_id=container,
        at=now,
        truncated=found.truncated,
        packed=LastWords.pack(found.lines),
    )


def _read(read: Callable[[], Tail]) -> Tail | None:
    try:
        return read()
    except NotFoundOnEngine:
        return None
