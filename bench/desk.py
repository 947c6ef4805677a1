"""`python -m bench.desk [COUNT] [CHECKS]`: what the pages of the desk cost on PostgreSQL, small and large."""

from __future__ import annotations

import os
import re
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.arguments import count as counted
from bench.processes import cpu_seconds
from dev.servers import postgres

SMALL, LARGE, CHECKS = 500, 50_000, 5_000_000
ROUNDS = 10
PAGES = {
    "dashboard": "/admin/",
    "dashboard, refreshed part": "/admin/instances/instance/dashboard/live/",
    "list of instances": "/admin/instances/instance/",
    "list, unwell ones": "/admin/instances/instance/?status=bad",
    "list, one host": "/admin/instances/instance/?host=bench-3",
    "list, searched": "/admin/instances/instance/?q=customer-000042",
    "list, last page": "/admin/instances/instance/?p={last}",
    "page of one instance": "/admin/instances/instance/{first}/change/?period=30d",
    "health checks": "/admin/instances/healthcheck/",
    "health checks of one": "/admin/instances/healthcheck/?q=customer-0000042",
    "operations": "/admin/instances/operation/",
    "hosts": "/admin/instances/host/",
}
BIG = ("instances_instance", "instances_health", "instances_check", "instances_operation")
FLEET = """
INSERT INTO instances_host (name, docker_url, address, bind, max_instances, first_port, last_port, insecure,
    network, overcommit, cordoned, engine_id)
  SELECT 'bench-' || n, '', '127.0.0.1', '', 100, 20000, 29999, false, 'dockmgr', 1, false, ''
  FROM generate_series(1, %(hosts)s) n;
INSERT INTO instances_instance (customer_id, subdomain, plan_id, host_id, image, env, container, container_id,
    image_id, failed_images, created_at, provisioned_at, image_digest, further_ports, finding, finding_text,
    paused_by, pause_reason)
  SELECT 'customer-' || lpad(n::text, 7, '0'), 'customer-' || lpad(n::text, 7, '0') || '.example.com',
    (SELECT min(id) FROM instances_plan) + n %% 3, (SELECT min(id) FROM instances_host) + n %% %(hosts)s,
    '', %(env)s, '', md5(n::text), '', '[]', now() - interval '40 days', now() - interval '40 days',
    '', '{}', '', '', '', ''
  FROM generate_series(1, %(count)s) n;
INSERT INTO instances_health (instance_id, revision, status, failures, successes, restarts_used, flaps,
    restarts_helped, checked_at, last_healthy_at, latency_ms, version, container_state, reason, error)
  SELECT id, 1, CASE WHEN id %% 500 = 0 THEN 'unhealthy' WHEN id %% 900 = 0 THEN 'failed' ELSE 'healthy' END,
    0, 2, 0, 0, 0, now(), now(), id %% 400, '2026.2.19', 'running', '', '' FROM instances_instance;
INSERT INTO instances_transition (instance_id, at, availability)
  SELECT id, now() - interval '40 days', 'up' FROM instances_instance;
INSERT INTO instances_sweep (id, slot, state, requested_by, attended, total, done, started_at, expires_at,
    finished_at)
  SELECT gen_random_uuid(), now() - n * interval '15 minutes', 'finished', 'beat', false,
    %(count)s, %(count)s, now() - n * interval '15 minutes', now(),
    now() - n * interval '15 minutes' + interval '40 seconds'
  FROM generate_series(1, %(sweeps)s) n;
INSERT INTO instances_check (instance_id, sweep_id, outcome, reason, status, http_status, latency_ms,
    consecutive_failures, container_state, error, checked_at)
  SELECT i.id, s.id, CASE WHEN random() < 0.01 THEN 1 ELSE 0 END, '', 2, 200,
    (random() * 300)::int, 0, 2, '', s.started_at
  FROM (SELECT * FROM instances_sweep ORDER BY started_at DESC LIMIT %(sweeps)s) s, instances_instance i;
INSERT INTO instances_operation (id, kind, instance_id, customer_id, status, requested_by, reason, automatic,
    params, facts, steps, undoing, error, image_before, image_after, created_at, started_at, finished_at,
    lease_owner, lease_expires_at, token, tries, interrupts)
  SELECT gen_random_uuid(), 'restart', i.id, i.customer_id,
    CASE WHEN i.id %% 9 = 0 THEN 'failed' ELSE 'succeeded' END,
    'dockmgr', '', true, '{}', '{}', '[]', false, '', '', '', t.at, t.at, t.at, '', t.at, 1, 1, false
  FROM instances_instance i, LATERAL (SELECT now() - random() * interval '30 days' AS at) t;
"""


@dataclass
class Cost:
    """What one page costs: queries, milliseconds, and reads of whole big tables."""

    page: str
    queries: int
    cpu: float  # milliseconds of ours and of PostgreSQL
    milliseconds: float
    slowest: float
    scans: list[str]


def fill(count: int, checks: int) -> None:
    """A fleet of `count` instances with `checks` rows of history."""
    from django.db import connection

    from instances.db.patience import unlimited
    from instances.models import Instance

    env = Instance._meta.get_field("env").get_prep_value({"API_KEY": "bench"})
    values = {"count": count, "hosts": max(10, count // 100), "sweeps": max(2, checks // count), "env": env}
    with unlimited(), connection.cursor() as cursor:
        for statement in FLEET.split(";\n"):
            if statement.strip():
                cursor.execute(statement, values)
        cursor.execute("VACUUM ANALYZE")


def measure(client: Any, page: str, address: str, postmaster: int) -> Cost:
    """The best of several times, the CPU of all of them, and the plan of each query."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    times, asked, processes = [], CaptureQueriesContext(connection), (os.getpid(), postmaster)
    client.get(address)
    before = sum(map(cpu_seconds, processes))
    for _ in range(ROUNDS):
        with asked:
            began = time.perf_counter()
            answer = client.get(address)
            times.append((time.perf_counter() - began) * 1000)
        assert answer.status_code == 200, (address, answer.status_code)
    cpu = (sum(map(cpu_seconds, processes)) - before) * 1000 / ROUNDS
    slowest = max(float(query["time"]) for query in asked.captured_queries) * 1000
    scans = sorted({scan for query in asked.captured_queries for scan in scanned(query["sql"])})
    return Cost(page, len(asked.captured_queries), cpu, min(times), slowest, scans)


def scanned(sql: str) -> list[str]:
    """The big tables that a query reads as a whole."""
    from django.db import connection

    if not sql.startswith("SELECT"):
        return []
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {sql}".replace("%", "%%"))
        plan = "\n".join(row[0] for row in cursor.fetchall())
    return [table for table in re.findall(r"Seq Scan on (\w+)", plan) if table in BIG]


def run(count: int, checks: int) -> list[Cost]:
    """Measure all pages on a database of that size."""
    from django.contrib.auth.models import User
    from django.test import Client

    from bench import database
    from instances.models import Instance

    fill(count, checks)
    user, _ = User.objects.get_or_create(username="bench", is_staff=True, is_superuser=True)
    client = Client(SERVER_NAME="localhost")
    client.force_login(user)
    places = {"first": Instance.objects.order_by("pk")[0].pk, "last": min(200, count // 50)}
    server = database.postmaster()
    return [measure(client, page, address.format(**places), server) for page, address in PAGES.items()]


def show(count: int, checks: int, costs: list[Cost]) -> None:
    """Print a table."""
    table = Table(title=f"The desk with {count} instances and {checks} checks")
    columns = ("page", "queries", "CPU ms", "by the clock, ms", "slowest query, ms", "big tables read whole")
    for column in columns:
        table.add_column(column, justify="left" if column.startswith(("page", "big")) else "right")
    for cost in costs:
        spent = (cost.cpu, cost.milliseconds, cost.slowest)
        row = (cost.page, str(cost.queries), *(f"{milliseconds:.0f}" for milliseconds in spent))
        table.add_row(*row, ", ".join(name.removeprefix("instances_") for name in cost.scans) or "none")
    Console(width=None if sys.stdout.isatty() else 120).print(table)


def at_size(count: int, checks: int) -> None:
    """One size in a database of its own; ends with its process, because settings are read once."""
    with tempfile.TemporaryDirectory(prefix="dockmgr-bench-") as name, postgres(Path(name), {}) as database:
        os.environ.update(
            DOCKMGR_HOME=f"{name}/home", DATABASE_URL=database, DOCKMGR_STATE_FILE=f"{name}/state"
        )
        os.environ["DJANGO_SETTINGS_MODULE"] = "dockmgr.settings"
        import django

        django.setup()
        from django.core.management import call_command
        from django.db import connections

        try:
            call_command("migrate", verbosity=0)
            show(count, checks, run(count, checks))
        finally:
            connections.close_all()


def main() -> None:
    if len(sys.argv) > 1:
        number = counted(LARGE, what="instances")
        at_size(number, counted(number * 100, number, 2, "checks"))
        return
    for count, checks in ((SMALL, SMALL * 100), (LARGE, CHECKS)):
        child = os.posix_spawn(
            sys.executable, [sys.executable, "-m", "bench.desk", str(count), str(checks)], os.environ
        )
        os.waitpid(child, 0)


if __name__ == "__main__":
    main()
