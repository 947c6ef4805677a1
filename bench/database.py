"""The benchmark's side of the database and the broker; needs DATABASE_URL and DOCKMGR_* set first."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dockmgr.settings")
django.setup()

from django.conf import settings  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402
from django.db.models import Count  # noqa: E402
from django.utils import timezone  # noqa: E402

from bench.obvious import app as obvious  # noqa: E402
from bench.targets import PER_HOST, PLAN, customer  # noqa: E402
from instances.checks.looks import rhythm  # noqa: E402
from instances.models import (  # noqa: E402
    Channel,
    Health,
    HealthCheck,
    Host,
    Incident,
    Instance,
    Operation,
    OutsideCheck,
    Plan,
    Sweep,
)
from tasks.app import app  # noqa: E402


def fill(ports: list[int], engine_ports: list[int]) -> None:
    """One provisioned, healthy instance per target, on as many hosts as there are engines."""
    call_command("migrate", verbosity=0)
    with connection.cursor() as cursor, _redis() as client:
        cursor.execute("TRUNCATE instances_host, instances_instance, instances_sweep CASCADE")
        client.flushdb()
    hosts = Host.objects.bulk_create(
        Host(name=f"bench-{place}", docker_url=f"tcp://127.0.0.1:{port}", insecure=True)
        for place, port in enumerate(engine_ports)
    )
    plan, now = Plan.objects.get(name=PLAN), timezone.now()
    instances = Instance.objects.bulk_create(
        Instance(
            customer_id=customer(number), subdomain=f"{customer(number)}.example.com", plan=plan,
            host=hosts[number // PER_HOST], port=port, container_id=f"{number:064x}", provisioned_at=now,
        )
        for number, port in enumerate(ports)
    )  # fmt: skip
    Health.objects.bulk_create(Health(instance=instance, status="healthy") for instance in instances)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")  # as a server does by itself within a minute


def add_dead_host(ports: list[int], first: int) -> None:
    """A host whose engine and instances take connections at these ports of 127.0.0.2 and say nothing."""
    host = Host.objects.create(
        name="dead", docker_url=f"tcp://127.0.0.2:{ports[0]}", insecure=True, address="127.0.0.2"
    )
    plan, now = Plan.objects.get(name=PLAN), timezone.now()
    instances = Instance.objects.bulk_create(
        Instance(
            customer_id=customer(number), subdomain=f"{customer(number)}.example.com", plan=plan, host=host,
            port=port, container_id=f"{number:064x}", provisioned_at=now,
        )
        for number, port in enumerate(ports, first)
    )  # fmt: skip
    Health.objects.bulk_create(Health(instance=instance, status="healthy") for instance in instances)


def leave_dead_host() -> None:
    """Look after its instances no more: the one it is judged by takes longer than any that hangs."""
    Instance.objects.filter(host__name="dead").update(decommissioned_at=timezone.now())


def counted_by_sweep(number: int) -> int:
    """How many instances the sweep of this number, from 0, has counted; what is asked often must be cheap."""
    return int(Sweep.objects.order_by("started_at").values_list("done", flat=True)[number])


def checked_by_sweep(number: int, hosts: str) -> int:
    """How many instances of hosts whose names begin so the sweep of this number, from 0, has looked at."""
    sweep = Sweep.objects.order_by("started_at").values("pk")[number : number + 1]
    return Health.objects.filter(last_sweep__in=sweep, instance__host__name__startswith=hosts).count()


def sweep_result(number: int) -> dict[str, Any]:
    """How often the sweep of this number, from 0, has looked at each instance; the history keeps all checks.

    Who is counted as looked at otherwise was checked meanwhile because it was suspect, and that counts.
    """
    sweep = Sweep.objects.order_by("started_at")[number]
    checks = HealthCheck.objects.filter(checked_at__gte=sweep.started_at)
    own = checks.filter(sweep=sweep.pk).values("instance").annotate(times=Count("id"))
    times = dict(own.values_list("instance", "times"))
    others = Instance.objects.exclude(pk__in=times).values("pk")
    otherwise = checks.filter(instance__in=others).values("instance").distinct().count()
    return {
        "state": sweep.state,
        "once": sum(each == 1 for each in times.values()),
        "more often": sum(each > 1 for each in times.values()),
        "otherwise": otherwise,
        "not": sweep.total - len(times) - otherwise,
    }


def give_names(names: list[str], channel: str) -> None:
    """Give each target a public name, in order, and tell a channel of everything."""
    Plan.objects.filter(name=PLAN).update(public_url="https://{subdomain}")
    rows = list(Instance.objects.order_by("pk"))
    for row, name in zip(rows, names, strict=True):
        row.subdomain = name
    Instance.objects.bulk_update(rows, ["subdomain"])
    Channel.objects.create(name="ops", url=channel, min_level="info")


def asked_from_outside() -> tuple[int, int]:
    """How many public addresses were asked, and how many of them are well."""
    rows = OutsideCheck.objects.exclude(asked_at=None)
    return rows.count(), rows.filter(outcome="ok").count()


def open_incidents() -> int:
    return Incident.objects.open().count()


def operations() -> int:
    return Operation.objects.count()


def sweeps_begun() -> int:
    return Sweep.objects.count()


def finished_sweeps() -> int:
    return Sweep.objects.filter(state="finished").count()


def now() -> datetime:
    return timezone.now()


def looked_every(within: float) -> float:
    """Seconds between two rounds of looks, by DOCKMGR_LOOK_INTERVAL."""
    return rhythm(timedelta(seconds=within), settings.PROBE_TIMEOUT).total_seconds()


def checked_since(moment: datetime) -> int:
    """How many instances were looked at after a moment."""
    return Health.objects.filter(checked_at__gt=moment).count()


def history_length() -> int:
    return HealthCheck.objects.count()


def publish_sweep() -> None:
    app.send_task("dockmgr.sweep", kwargs={"requested_by": "bench"}, queue="health")


def publishing() -> tuple[float, float]:
    """CPU seconds of this process, and bytes in Redis, for each message of a sweep that no worker takes."""
    from tasks import checks

    with _redis() as client:
        held, began = client.info("memory")["used_memory"], time.process_time()
        number = checks.sweep(requested_by="bench")["total"]
        seconds, bytes_ = time.process_time() - began, client.info("memory")["used_memory"] - held
        client.delete("health")
    Sweep.objects.update(state="finished")
    return seconds / number, bytes_ / number


def publish_obvious() -> None:
    obvious.send_task("obvious.sweep")


def postmaster() -> int:
    """The process id of the PostgreSQL server's parent process."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_read_file('postmaster.pid')")
        return int(cursor.fetchone()[0].split()[0])


def redis_server() -> int:
    """The process id of the Redis server."""
    with _redis() as client:
        return int(client.info("server")["process_id"])


@contextmanager
def _redis() -> Iterator[Any]:
    with app.connection_for_write() as wire:
        channel: Any = wire.default_channel
        yield channel.client
