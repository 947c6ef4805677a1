"""Uptime reports: what is written down about availability and restarts, in a bounded number of queries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Count, OuterRef, Q, QuerySet, Subquery, Sum

from instances.incidents.rules import Availability
from instances.incidents.uptime_rules import AvailabilityChange, Uptime, measure
from instances.lib.calendar import day_of, next_day
from instances.models import CheckDay, Instance, Operation, OutsideTransition, Transition

Seen = type[Transition] | type[OutsideTransition]


@dataclass(frozen=True)
class UptimeLine:
    """How available one instance was, and as its customer saw it `outside`, where he was asked for."""

    instance_id: int
    customer_id: str
    plan: str
    uptime: Uptime
    outside: Uptime = field(default_factory=Uptime)


@dataclass(frozen=True)
class UptimeReport:
    """How available instances were in a period, ordered by customer id."""

    since: datetime
    until: datetime
    lines: list[UptimeLine]

    @property
    def total(self) -> Uptime:
        return sum((line.uptime for line in self.lines), Uptime())

    @property
    def plans(self) -> dict[str, list[UptimeLine]]:
        """The lines of each plan, plans in order of their names."""
        found: dict[str, list[UptimeLine]] = {}
        for line in sorted(self.lines, key=lambda line: line.plan):
            found.setdefault(line.plan, []).append(line)
        return found


def report(instances: QuerySet[Instance], since: datetime, until: datetime) -> UptimeReport:
    """The uptime of `instances` in a period, in five queries however many they are."""
    restarts = _restarts(instances, since, until)
    outside = {line.instance_id: line.uptime for line in lines_of(instances, since, until, OutsideTransition)}
    lines = [
        replace(
            line,
            uptime=replace(line.uptime, restarts=tried, restarts_helped=helped),
            outside=outside.get(line.instance_id, Uptime()),  # of who was provisioned since nothing is known
        )
        for line in _long_lines(instances, since, until)
        for tried, helped in [restarts.get(line.instance_id, (0, 0))]
    ]
    return UptimeReport(since, until, lines)


def uptime_percent(instance_ids: Iterable[int], since: datetime, now: datetime) -> dict[int, float | None]:
    """Up of up and down since then, for each instance, in two queries; None where nothing is known."""
    instances = Instance.objects.filter(pk__in=set(instance_ids))
    return {line.instance_id: line.uptime.percent for line in _long_lines(instances, since, now)}


def _long_lines(instances: QuerySet[Instance], since: datetime, until: datetime) -> Iterator[UptimeLine]:
    """The same as `lines_of`, also for times of which no transitions are kept any more.

    Of those it knows up and down alone, from the day on in which the period begins; in one query more.
    """
    told = next_day(until - timedelta(days=settings.RECORD_DAYS))
    if since >= told:
        yield from lines_of(instances, since, until)
        return
    days = CheckDay.objects.filter(instance__in=_keys(instances), at__gte=day_of(since), at__lt=told)
    summed = days.order_by().values_list("instance_id").annotate(Sum("up"), Sum("down"))
    before = {pk: Uptime(up=up, down=down) for pk, up, down in summed}
    for line in lines_of(instances, told, until):
        yield replace(line, uptime=before.get(line.instance_id, Uptime()) + line.uptime)


def changes_of(instance: Instance, since: datetime, until: datetime) -> list[AvailabilityChange]:
    """What became of an instance's availability, beginning with what it was at `since`; in two queries."""
    changes = Transition.objects.filter(instance=instance, at__lte=until)
    before = changes.filter(at__lte=since).order_by("-at", "-pk")[:1]
    within = changes.filter(at__gt=since).order_by("at", "pk")
    return [
        AvailabilityChange(at, Availability(availability))
        for rows in (before, within)
        for at, availability in rows.values_list("at", "availability")
    ]


def lines_of(
    instances: QuerySet[Instance], since: datetime, until: datetime, seen: Seen = Transition
) -> Iterator[UptimeLine]:
    """How available each of `instances` was, by customer id, without its restarts; in two queries."""
    within = _changes_within(instances, since, until, seen)
    before = seen._default_manager.filter(instance=OuterRef("pk"), at__lte=since).order_by("-at", "-pk")
    rows = instances.order_by("customer_id", "pk").values_list(
        "pk",
        "customer_id",
        "plan__name",
        Subquery(before.values("at")[:1]),
        Subquery(before.values("availability")[:1]),
    )
    for pk, customer_id, plan, at, availability in rows:
        first = [AvailabilityChange(at, Availability(availability))] if at else []
        yield UptimeLine(pk, customer_id, plan, measure([*first, *within[pk]], since, until))


def _changes_within(
    instances: QuerySet[Instance], since: datetime, until: datetime, seen: Seen
) -> defaultdict[int, list[AvailabilityChange]]:
    rows = seen._default_manager.filter(instance__in=_keys(instances), at__gt=since, at__lte=until)
    found: defaultdict[int, list[AvailabilityChange]] = defaultdict(list)
    for pk, at, availability in rows.order_by("at", "pk").values_list("instance_id", "at", "availability"):
        found[pk].append(AvailabilityChange(at, Availability(availability)))
    return found


def _restarts(instances: QuerySet[Instance], since: datetime, until: datetime) -> dict[int, tuple[int, int]]:
    """Automatic restarts by instance: how many, and how many helped.

    One that the host, or dockmgr itself, kept from being made is none.
    """
    no_excuse = Q(facts__host_trouble=False) | Q(facts__host_trouble__isnull=True)
    no_excuse &= Q(facts__own_trouble=False) | Q(facts__own_trouble__isnull=True)
    tried = Operation.objects.filter(
        no_excuse,
        instance__in=_keys(instances),
        kind="restart",
        automatic=True,
        finished_at__gt=since,
        finished_at__lte=until,
    )
    helped = Count("pk", filter=Q(status="succeeded"))
    rows = tried.order_by().values_list("instance_id").annotate(tried=Count("pk"), helped=helped)
    return {pk: (count, good) for pk, count, good in rows if pk is not None}


def _keys(instances: QuerySet[Instance]) -> QuerySet[Instance, int]:
    return instances.order_by().values_list("pk", flat=True)
