"""Warnings of what is near a limit, and of what the kernel killed for want of memory."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet, Window
from django.db.models.functions import RowNumber

from instances.containers.consumption import (
    DISK,
    LOOKS,
    MEMORY,
    OOM,
    PIDS,
    THROTTLED,
    lived_on,
    was_started_again,
)  # fmt: skip
from instances.db.locks import lock_in_order, locked
from instances.db.write_back import write_back
from instances.errors import DockmgrError, EngineUnreachable
from instances.incidents.lifecycle import Alarm
from instances.incidents.rules import RESOURCES, Severity, resources_key
from instances.lib.sizes import shown
from instances.models import HostWatch, Instance, Operation, Usage
from instances.monitoring.alarms import end_alarm, raise_alarm
from instances.outside import Outside, engine_address

OVER = {
    MEMORY: "its memory is well below its limit again",
    PIDS: "its processes are well below their limit again",
    THROTTLED: "its CPU limit does not hold it back any more",
    DISK: "it is within the disk of its plan again",
}
WARNED_OF = frozenset(OVER)  # what a row of readings says there is a warning about
ENDS_WITHIN = timedelta(seconds=3)  # a container whose first process is killed tells of its end by then
AT_ONCE = 16
WORTH_ASKING = timedelta(minutes=5)  # an engine that can't be reached that long has more to tell than this


def settle(row: Usage, own: Collection[str], wanted: Collection[str], now: datetime) -> None:
    """Open and end the warnings among `own`, so that there are those `wanted`; none of who is paused."""
    known = set(row.warned) & set(own)
    watched = Instance.objects.active().without_secrets().filter(pk=row.pk)
    if set(wanted) == known or (instance := watched.first()) is None:
        return
    for what in sorted(set(wanted) - known):
        raise_alarm(_warning(instance, what, sentence(instance, what, row)), now)
    for what in sorted(known - set(wanted)):
        end_alarm(resources_key(instance.customer_id, what), OVER[what], now)
    with transaction.atomic():
        fresh = locked(Usage.objects.filter(pk=row.pk)).first()
        if fresh is not None and watched.exists():  # what was forgotten meanwhile, by a pause, stays so
            fresh.warned = sorted((set(fresh.warned) - set(own)) | set(wanted))
            fresh.save(update_fields=["warned"])


def forget(instances: Collection[int], own: Collection[str]) -> None:
    """Have the warnings among `own` that these instances have found anew; they are ended by who calls."""
    with transaction.atomic():
        rows = list(locked(Usage.objects.filter(pk__in=instances)).order_by("pk"))
        for row in rows:
            row.warned = [what for what in row.warned if what not in own]
            row.near = {what: readings for what, readings in row.near.items() if what not in own}
        write_back(rows, ["warned", "near"])


def _warning(instance: Instance, what: str, told: str, clean: timedelta | None = None) -> Alarm:
    key = resources_key(instance.customer_id, what)
    return Alarm(key, RESOURCES, what, told, Severity.WARNING, instance=instance, clean=clean)


def sentence(instance: Instance, what: str, row: Usage) -> str:
    """What is near or above its limit, for people."""
    customer_id = instance.customer_id
    if what == MEMORY:
        return (
            f"{customer_id} uses {shown(row.memory or 0)} of its {shown(row.memory_limit)} of memory, and "
            f"has been above 90 % for {LOOKS} readings: beyond the limit its processes are killed."
        )
    if what == PIDS:
        return (
            f"{customer_id} has {row.pids} of its {row.pids_limit} processes, and has been above 90 % for "
            f"{LOOKS} readings: beyond the limit it can start no more."
        )
    if what == DISK:
        allowed = f"the {shown(instance.plan.disk or 0)} of plan {instance.plan.name}"
        has = f"{customer_id} has {shown(row.disk or 0)} on disk, above {allowed}"
        return f"{has}; most of it, {_largest(row.on_disk)}."
    return f"The CPU limit of {customer_id} held it back for most of the last hour: it answers slowly."


def _largest(parts: Mapping[str, int]) -> str:
    name = max(parts, key=lambda name: parts[name])
    where = f"in volume {name}" if name else "in its container, beside its volumes"
    return f"{shown(parts[name])}, {where}"


def note_ooms(killed: Mapping[str, int], now: datetime) -> None:
    """Remember that the kernel killed processes of these containers, at nanoseconds of their engines' clocks.

    What was known before, as an engine tells it again to whoever follows anew, is known.
    """
    rows = Instance.objects.active().filter(container_id__in=killed).values_list("pk", "container_id")
    moments = {pk: datetime.fromtimestamp(killed[container] / 1e9, UTC) for pk, container in rows}
    new = [Usage(pk=pk, next_read_at=now) for pk in moments]
    Usage.objects.bulk_create(new, ignore_conflicts=True)
    with transaction.atomic():
        kept = list(locked(Usage.objects.filter(pk__in=moments)).order_by("pk"))
        later = [row for row in kept if row.oom_at is None or row.oom_at < moments[row.pk]]
        for row in later:
            row.oom_at, row.oom_since = moments[row.pk], now
        write_back(later, ["oom_at", "oom_since"])


def judge_ooms(outside: Outside) -> None:
    """Warn of containers that lost a process to the kernel and run; of those that ended others tell.

    One that its engine started again at once was well whenever it was looked at, so nobody else would.
    """
    now = outside.clock.now()
    dark = set(HostWatch.objects.filter(failures__gt=0).values_list("host_id", flat=True))
    due = Usage.objects.filter(oom_since__lte=now - ENDS_WITHIN).exclude(instance__host__in=dark)
    for row in _asked(_in_turns(due)[:AT_ONCE], outside, dark):
        Usage.objects.filter(pk=row.pk, oom_at=row.oom_at).update(oom_since=None)
    _let_go(dark, now)


def _in_turns(due: QuerySet[Usage]) -> QuerySet[Usage]:
    """One of each host, then its second: a host that has many, and can't be asked, keeps none from theirs."""
    first = ("oom_since", "pk")
    place = Window(RowNumber(), partition_by="instance__host", order_by=first)
    return due.order_by(place, *first)


def _let_go(dark: Collection[int], now: datetime) -> None:
    """Judge no more what hosts that can't be reached would have had to tell long ago."""
    late = Usage.objects.filter(oom_since__lt=now - WORTH_ASKING, instance__host__in=dark)
    if dark and late.exists():
        with transaction.atomic():
            Usage.objects.filter(pk__in=lock_in_order(late)).update(oom_since=None)


def _asked(rows: Iterable[Usage], outside: Outside, dark: set[int]) -> Iterable[Usage]:
    """Those of which all is known that will be, as of those nobody looks after.

    Hosts that turn out to be out of reach join the `dark` ones, which are not asked.
    """
    for row in rows:
        instance = Instance.objects.active().without_secrets().filter(pk=row.pk).first()
        if instance is None:
            yield row
            continue
        try:
            if instance.host_id not in dark:
                _judge_oom(instance, row, outside)
                yield row
        except EngineUnreachable:
            dark.add(instance.host_id)
        except DockmgrError:
            yield row


def _judge_oom(instance: Instance, row: Usage, outside: Outside) -> None:
    facts = outside.engines.at(engine_address(instance.host)).inspect(instance.container_id)
    if row.oom_at is None or facts is None:
        return
    if lived_on(facts.state, facts.started_at, row.oom_at):
        since = "its container goes on without it"
    elif was_started_again(facts.state, facts.started_at, row.oom_at) and not _is_ours(instance, row):
        since = "its container ended, and its engine started it again"
    else:
        return
    limit = f" of {shown(facts.memory)}" if facts.memory else ""
    told = (
        f"The kernel killed a process of {instance.customer_id} at {row.oom_at:%H:%M:%S} UTC, as its memory "
        f"limit{limit} was reached; {since}."
    )
    clean = timedelta(seconds=settings.FLAPPING_CLEAN)
    raise_alarm(_warning(instance, OOM, told, clean), outside.clock.now())


def _is_ours(instance: Instance, row: Usage) -> bool:
    """Whether an operation of ours may have started its container since then, and tells of that."""
    of_customer = Operation.objects.filter(customer_id=instance.customer_id)
    return of_customer.filter(Q(finished_at=None) | Q(finished_at__gte=row.oom_since)).exists()
