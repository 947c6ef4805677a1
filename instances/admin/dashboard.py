"""The first page: the state of the fleet in numbers and charts, from a bounded number of queries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Case, Count, QuerySet, When
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.views.decorators.http import require_safe

from instances.admin.charts import Bar, Value, bars, bucket_of, stacked
from instances.admin.host_load import loads
from instances.db.clock import SYSTEM
from instances.lib.calendar import DAY, HOUR
from instances.lib.durations import span
from instances.models import Channel, Health, Incident, Operation, Sweep
from instances.models.counting import Numbers, count_by
from instances.models.instance import LEAVING

HOURS = 24
FAILED = ("failed", "rolled_back")
SWEEPS_SHOWN = 48
ROWS_SHOWN = 8
CANDIDATES = 64
MOST_OPERATIONS = 5000
WORST_FIRST = Case(When(severity="critical", then=0), When(severity="warning", then=1), default=2)
ORDER = ("healthy", "starting", "restarting", "suspect", "unhealthy", "failed", "unknown", "paused", LEAVING)


def fill(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Adds the figures to the index page, for people who may see instances."""
    may_see = request.user.has_perm("instances.view_instance")
    return {**context, "title": "Dashboard", **(figures(SYSTEM.now()) if may_see else {}), "may_see": may_see}


@require_safe
def live_view(request: HttpRequest) -> HttpResponse:
    """The figures alone, for the page that refreshes itself."""
    return TemplateResponse(request, "desk/dashboard_live.html", figures(SYSTEM.now()))


def figures(now: datetime) -> dict[str, Any]:
    """All that the page shows."""
    counted = count_by("host_id", "plan_id")
    hosts = loads(counted)
    return {
        "now": now,
        "statuses": _statuses(counted),
        **_incidents(),
        "last_day": _last_day(now),
        "sweeps": _sweeps(now),
        "slowest": _slowest(),
        "hosts": hosts[:ROWS_SHOWN],
        "hosts_in_all": len(hosts),
        "nobody_is_told": not Channel.objects.told_of_incidents().exists(),
    }


@dataclass(frozen=True)
class Statuses:
    """How many instances have which status."""

    counts: list[tuple[str, int]]
    total: int
    bars: list[Bar]

    @property
    def words(self) -> str:
        return ", ".join(f"{count} {status}" for status, count in self.counts if count) or "no instances"


def _statuses(counted: Numbers) -> Statuses:
    found: Counter[str] = Counter()
    for (*_, status), count in counted.items():
        found[status] += count
    counts = [(status, found[status]) for status in ORDER]
    drawn = [Value(count, status, f"{count} {status}") for status, count in counts]
    return Statuses(counts, found.total(), stacked(drawn))


def _incidents() -> dict[str, Any]:
    """Open ones that are worth telling, the worst and the newest first."""
    rows = Incident.objects.open().exclude(confirmed_at=None)
    counts = Counter(dict(rows.order_by().values_list("severity").annotate(count=Count("*"))))
    newest = rows.select_related("host").order_by(WORST_FIRST, "-opened_at")
    return {
        "open_incidents": sum(counts.values()),
        "critical_incidents": counts["critical"],
        "incidents": list(newest[:ROWS_SHOWN]),
    }


@dataclass(frozen=True)
class LastDay:
    """Restarts of the last 24 hours by the hour, and what failed in that time."""

    restarts: int
    helped: int
    failed: int
    bars: list[Bar]
    failures: list[Operation]
    more: bool

    @property
    def words(self) -> str:
        restarts = f"Restarts in 24 hours: {self.restarts}, of which {self.helped} helped"
        return f"{restarts}; failed operations: {self.failed}"


def _last_day(now: datetime) -> LastDay:
    since = now - DAY
    recent = Operation.objects.filter(created_at__gt=since).order_by("-created_at")
    rows = list(recent.values_list("kind", "status", "created_at")[:MOST_OPERATIONS])
    restarts = [(status, at) for kind, status, at in rows if kind == "restart"]
    per_hour = Counter(min(HOURS - 1, bucket_of(at, since, HOUR)) for _, at in restarts)
    counts = _count_operations(since)
    failed = sum(count for (_, status), count in counts.items() if status in FAILED)
    failures = recent.filter(status__in=FAILED).defer("facts", "params")
    return LastDay(
        restarts=sum(count for (kind, _), count in counts.items() if kind == "restart"),
        helped=counts["restart", "succeeded"],
        failed=failed,
        bars=bars([_hour(since, number, per_hour[number]) for number in range(HOURS)]),
        failures=list(failures[:ROWS_SHOWN]) if failed else [],
        more=len(rows) == MOST_OPERATIONS,
    )


def _count_operations(since: datetime) -> Counter[tuple[str, str]]:
    """All of them, by kind and status, however many there were."""
    rows = Operation.objects.filter(created_at__gt=since).order_by().values_list("kind", "status")
    return Counter({(kind, status): count for kind, status, count in rows.annotate(count=Count("*"))})


def _hour(since: datetime, number: int, count: int) -> Value:
    begins = since + number * HOUR
    return Value(count, "restart", f"{begins:%H:%M} to {begins + HOUR:%H:%M} UTC: {count} restarts")


@dataclass(frozen=True)
class Sweeps:
    """The last sweeps, oldest first; `longest` in seconds."""

    last: Sweep | None
    age: str
    duration: str
    longest: str
    bars: list[Bar]

    @property
    def words(self) -> str:
        if self.last is None:
            return "no sweep has finished yet"
        return f"the last sweep finished {self.age} ago and took {self.duration}; the longest {self.longest}"


def _sweeps(now: datetime) -> Sweeps:
    rows = list(Sweep.objects.order_by("-started_at")[:SWEEPS_SHOWN])
    last = Sweep.objects.filter(state="finished").order_by("-started_at").first()
    longest = max((_seconds(row, now) for row in rows), default=0)
    return Sweeps(
        last=last,
        age=span((now - last.finished_at).total_seconds()) if last and last.finished_at else "",
        duration=span(_seconds(last, now)) if last else "",
        longest=span(longest),
        bars=bars([_sweep(row, now) for row in reversed(rows)]),
    )


def _seconds(sweep: Sweep, now: datetime) -> float:
    return ((sweep.finished_at or now) - sweep.started_at).total_seconds()


def _sweep(sweep: Sweep, now: datetime) -> Value:
    kind = {"finished": "good", "incomplete": "bad"}.get(sweep.state, "running")
    took = span(_seconds(sweep, now))
    title = f"{sweep.started_at:%d %b %H:%M} UTC: {sweep.state}, {sweep.done} of {sweep.total}, {took}"
    return Value(_seconds(sweep, now), kind, title)


def _slowest() -> list[Health]:
    """By what the last look at each took."""
    answered = Health.objects.filter(latency_ms__isnull=False).order_by("-latency_ms")
    # To join all with their instances takes longer, and is needed where many were decommissioned.
    candidates = list(answered.values_list("pk", flat=True)[:CANDIDATES])
    few = _present(candidates)
    is_enough = len(few) == ROWS_SHOWN or len(candidates) < CANDIDATES
    return few if is_enough else _present(answered.values("pk"))


def _present(ids: Sequence[int] | QuerySet[Any, Any]) -> list[Health]:
    rows = Health.objects.filter(pk__in=ids, instance__decommissioned_at=None)
    rows = rows.select_related("instance").defer("instance__env", "instance__adopted")
    return list(rows.order_by("-latency_ms")[:ROWS_SHOWN])
