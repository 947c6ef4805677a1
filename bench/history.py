"""What the history of checks takes and how fast it answers, on PostgreSQL.

`python -m bench.history [COUNT [DAYS]]` makes COUNT (50,000) instances that are looked at once a minute,
with DAYS (7) days of what is kept of that: of each a success in ten minutes, of which some are failures. It
says what a row takes with its indexes, what all of it comes to when everything is kept as long as shipped,
and how long pages and the steps of the upkeep take. Sums are made for some instances alone and counted up.
"""

from __future__ import annotations

import os
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.arguments import count as counted
from bench.processes import cpu_seconds
from bench.results import write
from dev.servers import postgres

COUNT, DAYS = 50_000, 7
A_DAY = 144  # successes that are kept of an instance, one in ten minutes
SUMMED = 2_000  # instances that have all their sums
FORMER = 200_000  # rows of the former table
OUTAGES = 12  # of each instance in 400 days
ROUNDS = 15
HOUR_OF_CHECKS = """
INSERT INTO instances_check (checked_at, instance_id, sweep_id, latency_ms, http_status, consecutive_failures,
    outcome, status, container_state, reason, error)
  SELECT %(hour)s + slot * interval '10 minutes' + (i.id * 7919 %% 600) * interval '1 second', i.id,
    CASE WHEN random() < 0.1 THEN s.id END, (random() * 300)::int, CASE WHEN f THEN 503 ELSE 200 END,
    f::int, f::int, CASE WHEN f THEN 3 ELSE 2 END, 2, CASE WHEN f THEN 'http_503' ELSE '' END,
    CASE WHEN f THEN 'It answered 503.' ELSE '' END
  FROM generate_series(0, 5) slot, instances_instance i,
    LATERAL (SELECT random() < 1 / 700.0 AND i.id > 0 AS f) failed,
    (SELECT id FROM instances_sweep LIMIT 1) s
  ORDER BY 1
"""
SUMS = """
INSERT INTO {table} (instance_id, at, kept, failures, unknown, up, down, latency_min, latency_avg,
    latency_max)
  SELECT i.id, at, 6, 0, 0, 3600, 0, 1, 150, 300
  FROM generate_series(%(first)s, %(last)s, interval '{length}') at,
    (SELECT id FROM instances_instance ORDER BY id LIMIT %(some)s) i
  ORDER BY at, i.id
"""
TRANSITIONS = """
INSERT INTO instances_transition (instance_id, at, availability)
  SELECT i.id, now() - (n + random()) * interval '33 days' + down * interval '5 minutes',
    CASE down WHEN 0 THEN 'down' ELSE 'up' END
  FROM generate_series(1, %(outages)s) n, instances_instance i, generate_series(0, 1) down ORDER BY 2
"""
FORMER_CHECKS = """
INSERT INTO instances_healthcheck (instance_id, sweep_id, outcome, reason, status, http_status, latency_ms,
    consecutive_failures, container_state, error, checked_at)
  SELECT (SELECT min(id) FROM instances_instance) + n %% %(count)s, (SELECT id FROM instances_sweep LIMIT 1),
    'ok', '', 'healthy', 200, n %% 300, 0, 'running', '', now() - (%(rows)s - n) * interval '4 seconds'
  FROM generate_series(1, %(rows)s) n
"""
PAGES = {
    "dashboard": "/admin/",
    "list of instances": "/admin/instances/instance/",
    "list, one host": "/admin/instances/instance/?host=bench-3",
    "instance, a day": "/admin/instances/instance/{first}/change/?period=1d",
    "instance, a week": "/admin/instances/instance/{first}/change/?period=7d",
    "instance, a month": "/admin/instances/instance/{first}/change/?period=30d",
    "instance, a year": "/admin/instances/instance/{first}/change/?period=1y",
    "its chart of a year": "/admin/instances/instance/{first}/past/?period=1y",
    "newest checks of all": "/admin/instances/healthcheck/",
    "checks of one": "/admin/instances/healthcheck/?q=customer-0000042",
}
WHOLE = re.compile(r"Seq Scan on (instances_(?:check|transition|instance|health)\w*)")
FEW = 1000  # rows that a server rather reads than an index


@dataclass(frozen=True)
class Found:
    """One thing that was measured; `bar` is what it should stay under, None where there is none."""

    what: str
    value: float
    unit: str
    bar: float | None = None
    note: str = ""


@contextmanager
def database(name: str) -> Iterator[None]:
    """A database of our own, and Django on it; once in a process, because settings are read once."""
    with postgres(Path(name), {}) as url:
        os.environ.update(DOCKMGR_HOME=f"{name}/home", DATABASE_URL=url, DOCKMGR_STATE_FILE=f"{name}/state")
        os.environ["DJANGO_SETTINGS_MODULE"] = "dockmgr.settings"
        import django

        django.setup()
        from django.core.management import call_command
        from django.db import connections

        try:
            call_command("migrate", verbosity=0)
            yield
        finally:
            connections.close_all()


def run(count: int, days: int) -> list[Found]:
    """Fill, and measure one thing after the other."""
    from bench import desk
    from instances.db.patience import unlimited

    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    began = time.monotonic()
    with unlimited():
        desk.fill(count, 2)
        fill_checks(today, days)
        fill_sums(today, count)
        execute("VACUUM ANALYZE")
        rows = execute("SELECT count(*) FROM instances_check")
        filled = Found(
            "checks made", rows, "", note=f"{days} days and today; all in {time.monotonic() - began:.0f} s"
        )
        taken = sizes(today, count)
    return [filled, *taken, *pages(), *upkeep(today, count)]


def execute(sql: str, **values: Any) -> Any:
    """The first value of what a statement answers, None where it answers nothing."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(sql, values or None)
        return cursor.fetchone()[0] if cursor.description else None


def fill_checks(today: datetime, days: int) -> None:
    """Whole days before today, and the last two hours of today, in the order of time."""
    from instances.db import partitions
    from instances.lib.calendar import DAY, HOUR

    begins = today - days * DAY
    partitions.make("instances_check", [(begins + number * DAY).date() for number in range(days)])
    while begins + HOUR <= (now := datetime.now(UTC)):
        if begins < today or begins > now - 3 * HOUR:
            execute(HOUR_OF_CHECKS, hour=begins)
        begins += HOUR


def fill_sums(today: datetime, count: int) -> None:
    for table, length, kept in (("instances_checkhour", "1 hour", 35), ("instances_checkday", "1 day", 730)):
        sql = SUMS.format(table=table, length=length)
        last = today - (timedelta(hours=2) if kept == 35 else timedelta(days=1))
        execute(sql, first=today - timedelta(days=kept), last=last, some=SUMMED)
    execute(TRANSITIONS, outages=OUTAGES)
    execute(FORMER_CHECKS, rows=FORMER, count=count)


def sizes(today: datetime, count: int) -> list[Found]:
    """Bytes a row with its indexes, and what all come to when they are kept as long as shipped."""
    from instances.db import partitions

    yesterday = partitions.name_of("instances_check", (today - timedelta(days=1)).date())
    each = {name: bytes_of(name) for name in (yesterday, "instances_checkhour", "instances_checkday")}
    check, hour, day = each.values()
    transitions = execute("SELECT pg_total_relation_size('instances_transition')")
    some = min(SUMMED, count)
    everything = {
        "checks, 8 days": check * (A_DAY + 2) * 8 * count,
        "hours, 35 days": hour * 24 * 35 * count,
        "days, two years": day * 730 * count,
        "changes, 400 days": transitions,
    }
    return [
        Found("a check with its indexes", round(check, 1), "bytes", 100),
        Found("an hour with its index", round(hour, 1), "bytes", note=f"{some} instances, 35 days"),
        Found("a day with its index", round(day, 1), "bytes", note=f"{some} instances, 730 days"),
        *(Found(what, round(size / 1e9, 2), "GB", note="counted up") for what, size in everything.items()),
        Found("all of it", round(sum(everything.values()) / 1e9, 2), "GB", 15 * count / COUNT),
    ]


def bytes_of(table: str) -> float:
    return float(execute(f"SELECT pg_total_relation_size('{table}')::float / count(*) FROM {table}"))


def pages() -> list[Found]:
    """What each costs after a first time, with the large tables that its queries read as a whole."""
    from django.contrib.auth.models import User
    from django.test import Client

    from instances.admin.history import history as chart
    from instances.models import Instance

    user, _ = User.objects.get_or_create(username="bench", is_staff=True, is_superuser=True)
    client = Client(SERVER_NAME="localhost")
    client.force_login(user)
    first = Instance.objects.order_by("pk")[41]
    now = datetime.now(UTC)
    year = spent("reading a year of one instance", lambda: chart(first, "1y", now, 600), 50, "")
    return [year, *(page(client, name, address.format(first=first.pk)) for name, address in PAGES.items())]


def page(client: Any, name: str, address: str) -> Found:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as asked:
        assert client.get(address).status_code == 200, address
    queries = len(asked)
    whole = sorted({table for query in asked.captured_queries for table in read_whole(query["sql"])})
    return spent(
        name, lambda: client.get(address), 50, f"{queries} queries{''.join(f', all of {t}' for t in whole)}"
    )


def spent(name: str, work: Callable[[], object], bar: float | None, note: str) -> Found:
    """CPU time of ours and of the database, since others may use the machine; the clock is in the note."""
    before = cpu_seconds(os.getpid())
    clock = statistics.median(timed(work) for _ in range(ROUNDS))
    each = (cpu_seconds(os.getpid()) - before) / ROUNDS * 1000
    return Found(name, round(each, 1), "ms", bar, f"{note}; {clock:.0f} ms by the clock")


def read_whole(sql: str) -> list[str]:
    from django.db import connection

    if not sql.startswith("SELECT"):
        return []
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {sql}".replace("%", "%%"))
        found = WHOLE.findall("\n".join(row[0] for row in cursor.fetchall()))
    rows = {
        table: execute("SELECT reltuples FROM pg_class WHERE relname = %(table)s", table=table)
        for table in found
    }
    return [table for table, count in rows.items() if count > FEW]


def timed(work: Callable[[], object]) -> float:
    """Milliseconds."""
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


def upkeep(today: datetime, count: int) -> list[Found]:
    """The steps of the roll-up, of the upgrade and of forgetting: each is a transaction of its own."""
    from django.conf import settings

    from instances.db import partitions
    from instances.fleet import by_instance, former_checks, roll_up
    from instances.lib.calendar import DAY, HOUR
    from instances.models import CheckHour, HistoryProgress

    now = datetime.now(UTC)
    HistoryProgress.objects.create(name=roll_up.HOURS, at=today - 2 * HOUR)
    HistoryProgress.objects.create(name=roll_up.DAYS, at=today - DAY)
    before = cpu_seconds(os.getpid())
    summed = steps(lambda: roll_up.step(today + HOUR / 2))  # the last two hours of yesterday, and its day
    rolling = cpu_seconds(os.getpid()) - before
    moved = steps(lambda: former_checks.step(now))
    yesterday = (today - DAY).date()
    rows = execute(f"SELECT count(*) FROM {partitions.name_of('instances_check', yesterday)}")
    dropped = timed(lambda: partitions.drop("instances_check", yesterday))
    oldest = now + HOUR - timedelta(days=settings.HOURLY_DAYS)
    forgotten = timed(lambda: by_instance.forget(CheckHour.objects.filter(at__lt=oldest)))
    return [
        Found("rolling up, longest step", round(max(summed)), "ms", 2000, f"{len(summed)} steps"),
        Found("rolling up two hours and a day", round(rolling, 1), "s", note="of CPU"),
        Found("moving the former table, longest step", round(max(moved)), "ms", 2000, f"{len(moved)} steps"),
        Found("rows moved in a second", round(FORMER / sum(moved) * 1000), ""),
        Found("dropping a day", round(dropped, 1), "ms", 1000, f"{rows} rows"),
        Found(
            "forgetting an hour of sums", round(forgotten), "ms", note=f"of {min(SUMMED, count)} instances"
        ),
    ]


def steps(step: Callable[[], bool]) -> list[float]:
    """Milliseconds of each step until there is none left."""
    found: list[float] = []
    more = True

    def once() -> None:
        nonlocal more
        more = step()

    while more:
        found.append(timed(once))
    return found


def show(count: int, found: list[Found]) -> None:
    load = os.getloadavg()[0]
    table = Table(title=f"The history of {count} instances, looked at once a minute; load {load:.1f}")
    for column in ("what", "measured", "bar", ""):
        table.add_column(column, justify="right" if column in ("measured", "bar") else "left")
    for each in found:
        bar = "" if each.bar is None else f"{each.bar:g}"
        table.add_row(each.what, f"{each.value:g} {each.unit}", bar, each.note)
    Console(width=None if sys.stdout.isatty() else 130).print(table)


def main() -> None:
    count, days = counted(COUNT), counted(DAYS, 1, 2, "days")
    with tempfile.TemporaryDirectory(prefix="dockmgr-bench-") as name, database(name):
        found = run(count, days)
    show(count, found)
    write("history", [asdict(each) for each in found])


if __name__ == "__main__":
    main()
