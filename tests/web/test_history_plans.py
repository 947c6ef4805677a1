"""No page, route or task reads the history as a whole: each of their queries has an index for it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from pytest_django.fixtures import Settings

from instances.db import partitions
from instances.db.clock import SYSTEM
from instances.fleet import former_checks, history, roll_up
from instances.fleet.retention import purge
from instances.lib.calendar import DAY
from instances.models import FormerCheck, HealthCheck, HistoryProgress, Instance
from tests.factories import World
from tests.web.callers import OVER_HTTP, Caller

pytestmark = OVER_HTTP
TABLE = HealthCheck._meta.db_table
HISTORY = re.compile(r"instances_(check|checkhour|checkday|healthcheck|transition)\b")
WHOLE = {
    "postgresql": ("EXPLAIN ", r"Seq Scan on (instances_(?:check|healthcheck|transition)\w*)"),
    "sqlite": ("EXPLAIN QUERY PLAN ", r"^SCAN (instances_(?:check|transition)\w*)\b(?! USING)"),
}
DESK = "/admin/instances"
DAYS = 3  # that are rolled up and read, an hour at a time


@contextmanager
def explained() -> Iterator[list[tuple[str, list[str]]]]:
    """The statements about the history meanwhile, and what each of them reads as a whole when first asked."""
    found: list[tuple[str, list[str]]] = []
    seen: set[str] = set()
    words, whole = WHOLE[connection.vendor]

    def explain(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        if not HISTORY.search(sql) or not sql.startswith(("SELECT", "UPDATE", "DELETE")) or many:
            return execute(sql, params, many, context)
        if sql in seen:
            return execute(sql, params, many, context)
        seen.add(sql)
        with connection.cursor() as cursor:
            cursor.execute(f"{words}{sql}", params)
            plan = [str(row[-1]) for row in cursor.fetchall()]
        found.append((sql, [scan for line in plan for scan in re.findall(whole, line)]))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(explain):
        yield found


def read_as_a_whole(found: list[tuple[str, list[str]]]) -> list[tuple[str, list[str]]]:
    assert found, "nothing was asked of the history"
    return [(sql, scans) for sql, scans in found if scans]


@pytest.fixture
def instance(world: World) -> Instance:
    """One of a few instances with checks in several days; a small table has to be asked like a large one."""
    now, today = SYSTEM.now(), SYSTEM.now().date()
    if partitions.is_partitioned():
        partitions.make(TABLE, [today - number * DAY for number in range(DAYS + 1)])
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
    for name in ("c1", "c2", "c3"):
        row = world.instance(name)
        HealthCheck.objects.bulk_create(
            HealthCheck(
                instance=row, checked_at=now - number * timedelta(hours=3), outcome="ok", status="healthy",
                latency_ms=number, consecutive_failures=0, container_state="running",
            ) for number in range(DAYS * 8)
        )  # fmt: skip
    Instance.objects.update(created_at=now - DAYS * DAY)
    return Instance.objects.get(customer_id="c1")


PAGES = {
    "dashboard": "/admin/",
    "list of instances": f"{DESK}/instance/",
    "all checks": f"{DESK}/healthcheck/",
    "those of a customer": f"{DESK}/healthcheck/?q=c1",
    "one check": f"{DESK}/healthcheck/{{check}}/change/",
    **{
        period: f"{DESK}/instance/{{instance}}/change/?period={period}"
        for period in ("1d", "7d", "30d", "1y")
    },
}
ROUTES = ("/instances/c1/history", "/instances/c1/history?since=30d&limit=2&cursor={cursor}",
          "/instances/c1/history/sums", "/instances/c1/history/sums?by=hour&since=30d")  # fmt: skip


@pytest.mark.parametrize("rolled_up", [False, True])
def test_pages_and_routes_read_no_partition_as_a_whole(
    admin_client: Client, caller: Caller, instance: Instance, rolled_up: bool
) -> None:
    if rolled_up:
        history.keep(SYSTEM.now(), lambda: False)
    check = HealthCheck.objects.filter(instance=instance).order_by("-checked_at")[2]
    for name, page in PAGES.items():
        with explained() as found:
            assert admin_client.get(page.format(check=check.pk, instance=instance.pk)).status_code == 200
        if name != "dashboard":
            assert (name, read_as_a_whole(found)) == (name, [])
        assert not [scans for _, scans in found if scans]
    cursor = f"{int(check.checked_at.timestamp() * 1_000_000)}.{check.pk}"
    for route in ROUTES:
        with explained() as found:
            assert caller.get(route.format(cursor=cursor)).status == 200
        assert (route, read_as_a_whole(found)) == (route, [])


def test_what_keeps_the_history_small_reads_no_partition_as_a_whole(
    instance: Instance, settings: Settings
) -> None:
    now, settings.HISTORY_DAYS = SYSTEM.now(), 1
    FormerCheck.objects.create(
        instance=instance, outcome="ok", status="healthy", consecutive_failures=0, checked_at=now
    )
    with explained() as found:
        assert history.keep(now, lambda: False) > DAYS * 24 - 3
        assert former_checks.is_empty() and HistoryProgress.objects.count() == 2
        assert purge(now + 3 * DAY)["checks"] > 0
    assert read_as_a_whole(found)[:3] == []
    assert len({sql for sql, _ in found}) > 10 and roll_up.reached()
