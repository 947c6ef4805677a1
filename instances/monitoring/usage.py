"""Reading what containers use, evenly over DOCKMGR_USAGE_INTERVAL, and adding it up by the hour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import datetime, timedelta
from functools import partial

from django.db import transaction
from django.db.models import Count, F, Q
from django.db.models.functions import Greatest

from instances.containers import consumption
from instances.containers.consumption import COUNTERS, LOOKS, MEMORY, PIDS, THROTTLED
from instances.containers.facts import ContainerUsage
from instances.db.locks import locked
from instances.db.moments import ahead
from instances.db.write_back import write_back
from instances.engine.pool import EngineAddress, Engines
from instances.errors import DockmgrError, EngineUnreachable
from instances.lib.calendar import hour_of
from instances.lib.clock import AHEAD, is_due
from instances.models import Instance, Usage, UsageHour
from instances.models.usage import CONSUMED, PEAKS
from instances.monitoring.resources import settle
from instances.outside import Outside, engine_address

OWN = frozenset({MEMORY, PIDS, THROTTLED})  # what these readings tell
AT_ONCE = 16  # readings of a process at the same time: engines before 23 take a second for each
SUMMED = [name for name in CONSUMED if name not in PEAKS]  # a first reading has only peaks
A_SECOND = 3  # readings of one engine, which pays about a hundredth of a core's second for each
READ = (
    "read_at", "container_id", "counters", "cpu_percent", "memory", "memory_limit", "pids", "pids_limit",
    "near", "warned", "hour",
)  # fmt: skip


class UsageReader:
    """Reads what is due, a portion a turn. Any number of processes may call `turn` again and again."""

    def __init__(self, outside: Outside, every: timedelta) -> None:
        self._outside, self._every = outside, every
        self._of_hosts: dict[int, timedelta] = {}  # those whose readings are further apart
        self._looked_at: datetime | None = None

    def turn(self) -> None:
        """Read one portion of the containers whose time has come."""
        now = self._outside.clock.now()
        if is_due(self._looked_at, self._every, now):
            self._of_hosts = intervals(self._every)
            add_rows(now, self._longest())
            self._looked_at = now
        due = take_due(now, self._every, self._of_hosts)
        if due:
            write(read(due, self._outside.engines), self._outside.clock.now(), self._longest(), asked_at=now)

    def _longest(self) -> timedelta:
        return max((self._every, *self._of_hosts.values()))


def interval(every: timedelta, instances: int) -> timedelta:
    """Between two readings of a container on a host of so many, so that its engine can bear it. Pure."""
    return max(every, timedelta(seconds=instances / A_SECOND))


def intervals(every: timedelta) -> dict[int, timedelta]:
    """By host, where that is longer than `every`."""
    rows = Instance.objects.active().order_by().values_list("host").annotate(number=Count("pk"))
    found = {host: interval(every, number) for host, number in rows}
    return {host: its for host, its in found.items() if its > every}


def add_rows(now: datetime, every: timedelta) -> None:
    """Have a row for every instance, with first readings that lie evenly in the interval to come."""
    new = list(Instance.objects.active().filter(usage=None).order_by("pk").values_list("pk", flat=True))
    step = every / max(1, len(new))
    rows = [Usage(instance_id=pk, next_read_at=now + number * step) for number, pk in enumerate(new)]
    Usage.objects.bulk_create(rows, ignore_conflicts=True, batch_size=500)


def take_due(
    now: datetime, every: timedelta, of_hosts: Mapping[int, timedelta] | None = None
) -> list[Instance]:
    """Take the readings that are due for longest; nobody else gets them for an interval, or their host's."""
    longest = max((every, *(of_hosts or {}).values()))
    due = Q(next_read_at__lte=now) | ahead("next_read_at", now + longest)
    with transaction.atomic():
        rows = locked(Usage.objects.filter(due, instance__in=Instance.objects.active()), skip_locked=True)
        ids = [row.pk for row in rows.order_by("next_read_at", "pk").only("pk")[:AT_ONCE]]
        Usage.objects.filter(pk__in=ids).update(next_read_at=now + every)
        for host, its in (of_hosts or {}).items():
            Usage.objects.filter(pk__in=ids, instance__host=host).update(next_read_at=now + its)
    return list(Instance.objects.filter(pk__in=ids).without_secrets())


def read(instances: Sequence[Instance], engines: Engines) -> dict[int, tuple[str, ContainerUsage]]:
    """Container and usage by instance, as far as engines answer; a host that does not is asked once."""
    dark: set[EngineAddress] = set()
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="usage") as pool:
        found = list(pool.map(partial(_read_one, engines=engines, dark=dark), instances))
    pairs = zip(instances, found, strict=True)
    return {row.pk: (row.container_id, usage) for row, usage in pairs if usage is not None}


def _read_one(instance: Instance, engines: Engines, dark: set[EngineAddress]) -> ContainerUsage | None:
    address = engine_address(instance.host)
    if address in dark or not instance.container_id:
        return None
    try:
        return engines.at(address).usage(instance.container_id)
    except EngineUnreachable:
        dark.add(address)
    except DockmgrError:
        pass  # a container that hangs, or an engine in trouble: checks tell
    return None


def write(
    readings: Mapping[int, tuple[str, ContainerUsage]],
    now: datetime,
    every: timedelta,
    *,
    asked_at: datetime,
) -> None:
    """Add readings up, and warn of what is near its limits.

    A row that somebody else has written since `asked_at` holds a newer reading, and stays as it is.
    """
    older = Q(read_at=None) | Q(read_at__lte=asked_at) | ahead("read_at", now)
    with transaction.atomic():
        rows = list(locked(Usage.objects.filter(older, pk__in=readings)).order_by("pk"))
        for row in rows:
            container, usage = readings[row.pk]
            advance(row, container, usage, now, every)
        write_back(rows, [*READ, *CONSUMED])
    for row in rows:
        wanted = {what for what in (MEMORY, PIDS) if row.near.get(what, 0) >= LOOKS}
        settle(row, OWN, wanted | ({THROTTLED} if row.near.get(THROTTLED) else set()), now)


def advance(row: Usage, container: str, usage: ContainerUsage, now: datetime, every: timedelta) -> None:
    """Add one reading to a row; an hour that is over goes to its own."""
    elapsed = max(0.0, (now - row.read_at).total_seconds()) if row.read_at else 0.0
    lasted = min(elapsed, 2 * every.total_seconds())
    is_same = container == row.container_id
    spent = consumption.spent(row.counters, usage, same_container=is_same, elapsed=elapsed)
    begin_hour(row, now)
    row.seconds += lasted
    row.memory_seconds += usage.memory * lasted
    row.memory_peak = max(row.memory_peak, usage.memory)
    row.cpu_seconds += spent.cpu_ns / 1e9
    for name in COUNTERS[1:]:
        setattr(row, name, getattr(row, name) + getattr(spent, name))
    row.cpu_percent = round(spent.cpu_ns / 1e7 / elapsed, 1) if elapsed > 0 else None
    row.memory, row.memory_limit, row.pids, row.pids_limit = (
        usage.memory, usage.memory_limit, usage.pids, usage.pids_limit,
    )  # fmt: skip
    row.near = {**row.near, **consumption.near_limits(usage, row.near)}
    counted = asdict(usage)
    row.counters = {name: counted[name] for name in COUNTERS}
    row.container_id, row.read_at = container, now


def begin_hour(row: Usage, now: datetime) -> None:
    """Have the row, which is locked, add up the hour that is now.

    It stays with a later one for whoever looked at a clock before waiting for the row.
    """
    hour = hour_of(now)
    if row.hour is None or row.hour < hour or row.hour > now + AHEAD:
        end_hour(row)
        row.hour = hour


def end_hour(row: Usage) -> None:
    """Write down the hour a row, which is locked, has added up, and begin the next one with nothing."""
    if row.hour is not None and any(getattr(row, name) for name in SUMMED):
        _add_to_hour(row, row.hour)
        row.near[THROTTLED] = int(consumption.was_throttled(row.periods, row.throttled))
    for name in CONSUMED:
        setattr(row, name, 0)


def _add_to_hour(row: Usage, hour: datetime) -> None:
    """A clock that ran fast, or an hour that was ended early, has a row there already."""
    values = {name: getattr(row, name) for name in CONSUMED}
    more = {
        name: Greatest(F(name), value) if name in PEAKS else F(name) + value for name, value in values.items()
    }
    if not UsageHour.objects.filter(instance=row.pk, at=hour).update(**more):
        UsageHour.objects.create(instance_id=row.pk, at=hour, **values)
