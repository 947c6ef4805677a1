"""The demo's story, told from the database's rows: provision three, break two, watch them heal."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import docker
from django.conf import settings
from django.db.models import QuerySet
from rich.table import Table

from dev.demo_feed import Feed
from dev.narration import Narrator
from instances.fleet import file
from instances.fleet.apply import apply
from instances.health.state import Status
from instances.management.display import STYLES, styled
from instances.models import Health, HealthCheck, Instance, Operation
from tasks.app import app

BY = "demo"
POLL = 0.1  # seconds
HTTP_TIMEOUT = 5


class StoryFailed(Exception):
    """The story can't go on; the text is one sentence."""


class Story:
    """One telling. `deadline` counts in seconds from now."""

    def __init__(self, narrator: Narrator, deadline: float, customers: Sequence[str]) -> None:
        self._narrator = narrator
        self._deadline = time.monotonic() + deadline
        self._seconds = deadline
        self._customers = list(customers)
        self._feed = Feed()

    def tell(self, fleet: Path) -> None:
        """Everything, in order. Raises StoryFailed."""
        self._apply(fleet)
        self._narrator.heading("Provisioning three customers")
        self._provision()
        self._narrator.heading("Breaking two of them")
        broken = self._break()
        self._narrator.heading("Sweeping until all are healthy again")
        app.send_task("dockmgr.sweep", kwargs={"requested_by": BY}, queue="health")
        self._follow(lambda: self._healed(broken))
        self._close()

    def _apply(self, fleet: Path) -> None:
        for change in apply(file.parse(fleet.read_text())):
            self._narrator.line(change.kind, change.action, change.name)

    def _provision(self) -> None:
        results = [
            app.send_task(
                "dockmgr.provision",
                kwargs={
                    "customer_id": c,
                    "subdomain": f"{c}.example.com",
                    "plan": "demo",
                    "requested_by": BY,
                },
                queue="operations",
            )
            for c in self._customers
        ]
        self._follow(lambda: all(result.ready() for result in results))
        for result in results:
            self._tell_result(result.get())
        first = self._instance(self._customers[0])
        status, body = ask(first.health_url)
        self._say(first.customer_id, f"HTTP {status}", f"{first.health_url} answers {body}")

    def _tell_result(self, result: dict[str, Any]) -> None:
        if not result["success"]:
            raise StoryFailed(f"{result['customer_id']} could not be provisioned: {result['error']}")
        validation = result["validation"]
        good = sum(check["ok"] for check in validation["checks"])
        detail = f"{good} of {len(validation['checks'])} checks of its set-up, at {result['access_url']}"
        self._say(result["customer_id"], "valid" if validation["valid"] else "invalid", detail)

    def _break(self) -> list[Instance]:
        """Make the second customer answer 503 and kill the container of the third."""
        _, answering, killed = map(self._instance, self._customers)
        status, body = ask(f"{answering.access_url}/mode/503")
        self._say(answering.customer_id, "switched", f"HTTP {status} {body}")
        client = docker.DockerClient(base_url=settings.DOCKER_HOST, use_ssh_client=True)
        try:
            container = client.containers.get(killed.container_name)
            container.kill()
            container.wait()
            container.reload()
        finally:
            client.close()
        code = container.attrs["State"]["ExitCode"]
        self._say(killed.customer_id, "killed", f"{container.name} {container.status} with code {code}")
        return [answering, killed]

    def _healed(self, broken: Sequence[Instance]) -> bool:
        healthy = self._rows().filter(status=Status.HEALTHY).count() == len(self._customers)
        return healthy and all(restarts(instance) for instance in broken)

    def _follow(self, done: Callable[[], bool]) -> None:
        """Tell what happens until it is `done`. Raises StoryFailed when the time is over."""
        while True:
            over = done()
            self._tell_news()
            if over:
                return
            if time.monotonic() > self._deadline:
                raise StoryFailed(
                    f"The demo did not end well within {self._seconds:g} s: {self._standing()}."
                )
            time.sleep(POLL)

    def _tell_news(self) -> None:
        for event in self._feed.news():
            self._say(event.who, event.what, event.detail, moment=event.moment.timestamp())

    def _say(self, who: str, what: str, detail: str, moment: float | None = None) -> None:
        self._narrator.line(short(who), what, detail, moment=moment, style=STYLES.get(what, ""))

    def _standing(self) -> str:
        rows = [f"{short(row.instance.customer_id)} is {row.status}" for row in self._rows()]
        return ", ".join(rows) or "no customer was provisioned"

    def _close(self) -> None:
        rows = list(self._rows())
        table = Table(box=None, header_style="bold", pad_edge=False)
        for column in ("customer", "plan", "container", "status", "restarts", "down for", "version", "URL"):
            table.add_column(column, overflow="fold")
        for row in rows:
            table.add_row(*map(styled, summary(row)))
        self._narrator.console.print()
        self._narrator.console.print(table)
        count = Operation.objects.filter(kind="restart", automatic=True, status="succeeded").count()
        healthy = sum(row.status == Status.HEALTHY for row in rows)
        self._narrator.heading(
            f"{healthy} of {len(rows)} customers are healthy after {count} automatic restarts, "
            f"{time.time() - self._narrator.began:.1f} s after the start."
        )

    def _instance(self, customer_id: str) -> Instance:
        return Instance.objects.select_related("plan", "host").get(customer_id=customer_id)

    def _rows(self) -> QuerySet[Health]:
        rows = Health.objects.filter(instance__customer_id__in=self._customers)
        return rows.select_related("instance__plan", "instance__host").order_by("instance__customer_id")


def short(who: str) -> str:
    """The customer's own part of a customer id; anything else as it is."""
    return who.rpartition("-")[2]


def restarts(instance: Instance) -> int:
    """How many automatic restarts of the instance succeeded."""
    return instance.operations.filter(kind="restart", automatic=True, status="succeeded").count()


def down_for(row: Health) -> timedelta | None:
    """From the first check that failed to the recovery; None for an instance that never failed."""
    first = HealthCheck.objects.filter(instance_id=row.pk, outcome="fail").order_by("checked_at").first()
    return row.recovered_at - first.checked_at if first and row.recovered_at else None


def summary(row: Health) -> tuple[object, ...]:
    """A customer's line of the closing table."""
    instance, down = row.instance, down_for(row)
    return (
        instance.customer_id,
        instance.plan.name,
        instance.container_name,
        row.status,
        restarts(instance),
        f"{down.total_seconds():.1f} s" if down else "-",
        row.version,
        instance.access_url,
    )


def ask(url: str) -> tuple[int, str]:
    """Status and body of a GET to a container."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=HTTP_TIMEOUT)
    try:
        connection.request("GET", parts.path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")
    finally:
        connection.close()
