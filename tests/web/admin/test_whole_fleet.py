"""One fleet with every state in it: whatever shows or counts it says what the rows say."""

from __future__ import annotations

import json
import re
from collections import Counter
from contextlib import redirect_stdout
from datetime import timedelta
from io import StringIO
from typing import Any

from django.core.management import call_command
from django.test import Client

from instances.db.clock import SYSTEM
from instances.health.state import Status
from instances.incidents.acknowledge import acknowledge
from instances.models import Host, HostWatch, Incident, Instance, Mute, Operation, Sweep
from instances.observability.readiness import ask_database
from tests.desk import INSTANCE
from tests.factories import World
from tests.web.callers import OVER_HTTP, Caller

pytestmark = OVER_HTTP
ROOT = "/admin/instances/"
TROUBLES = {
    "dark": "engine", "wrong": "configuration", "strange": "another_engine", "lost": "data_lost",
    "crowd": "wave",
}  # fmt: skip
SHOWN = {
    "local": "answers",
    "dark": "out of reach",
    "wrong": "out of reach",
    "strange": "another engine answers",
    "lost": "has lost its data",
    "crowd": "answers but many fail",
    "back": "is back",
    "shy": "did not answer, asked again",
}
UNWELL = ("suspect", "unhealthy", "failed")


def text(client: Client, address: str) -> str:
    page = client.get(address, follow=True)
    assert page.status_code == 200, address
    return page.content.decode()


def listed(client: Client, address: str) -> dict[str, str]:
    """The rows of a list: what stands in the first column, with the text of all of the row."""
    page = text(client, address)
    parts = [re.sub(r"<[^>]+>|\s+", " ", part) for part in page.split('class="data-row')[1:]]
    return {re.sub(r"^[^>]*>", "", part).split()[0]: " ".join(part.split()) for part in parts}


def tabled(page: str) -> dict[str, str]:
    """The same of the tables of the dashboard."""
    parts = [re.sub(r"<[^>]+>|\s+", " ", part) for part in re.findall(r"<tr>(.*?)</tr>", page, re.DOTALL)]
    return {part.split()[0]: " ".join(part.split()) for part in parts}


def command(name: str, *options: str) -> Any:
    with redirect_stdout(StringIO()) as out:
        call_command(name, *options, "--json")
    return json.loads(out.getvalue())


def hosts(world: World) -> dict[str, Host]:
    """One in each trouble, one whose trouble has passed, and one that missed a single question."""
    found = {"local": world.host}
    for name in (*TROUBLES, "back", "shy"):
        found[name] = Host.objects.create(name=name, docker_url=f"unix:///fake/{name}.sock")
        world.instance(f"on-{name}", host=found[name], status="unknown" if name == "dark" else "healthy")
    for name, cause in TROUBLES.items():
        world.host_incident(found[name], cause=cause)
    world.host_incident(found["back"], resolve_at=SYSTEM.now() + timedelta(minutes=2))
    for name, host in found.items():
        HostWatch.objects.create(host=host, answered_at=SYSTEM.now(), failures=int(name == "shy"))
    return found


def fleet(world: World) -> None:
    for status in Status:
        world.instance(f"is-{status}", status=status)
    world.instance("new", status="unhealthy", last_healthy_at=None)
    renamed = world.instance("renamed")
    Instance.objects.filter(pk=renamed.pk).update(
        finding="renamed", finding_text="It is called x.", finding_since=world.now
    )
    leaving = world.instance("leaving", status="unknown")
    Instance.objects.filter(pk=leaving.pk).update(leaving_at=world.now)
    gone = world.instance("gone")
    Instance.objects.filter(pk=gone.pk).update(decommissioned_at=world.now)
    world.incident(world.instance("failing", status="failed"), "critical")
    seen = world.incident(world.instance("seen", status="unhealthy"))
    acknowledge(seen.pk, "admin:ada", SYSTEM.now())
    quiet = world.instance("quiet", status="unhealthy")
    world.incident(quiet)
    Mute.objects.create(
        instance=quiet, starts_at=world.now, until=SYSTEM.now() + timedelta(hours=1), by="ada"
    )
    Operation.objects.create(
        kind="update", customer_id="seen", instance=seen.instance, status="failed", error="abandoned by ada.",
        requested_by="tests", created_at=world.now, finished_at=world.now, lease_expires_at=world.now,
    )  # fmt: skip
    for state, minutes in (("finished", 40), ("incomplete", 5)):
        at = SYSTEM.now() - timedelta(minutes=minutes)
        Sweep.objects.create(state=state, started_at=at, expires_at=at, finished_at=at)


def test_every_number_and_word_is_that_of_the_rows(
    admin_client: Client, world: World, caller: Caller
) -> None:
    places = hosts(world)
    fleet(world)
    present = Instance.objects.filter(decommissioned_at=None).select_related("health", "host")
    rows = {row.customer_id: row for row in present}
    shown = {name: "leaving" if row.leaving_at else row.health.status for name, row in rows.items()}
    assert {*Status, "leaving"} == set(shown.values())
    open_now = Incident.objects.filter(resolved_at=None)

    dashboard = text(admin_client, "/admin/")
    tiles = re.findall(r'desk-tile[^"]*" href="([^"]+)"><b>(\d+)</b>', dashboard)
    legend = re.findall(r'href="([^"]+)"><i class="dot [^>]+></i>\w+ <b>(\d+)</b>', dashboard)
    led = {href.replace("&amp;", "&"): int(number) for href, number in [*tiles, *legend]}
    assert {href: text(admin_client, href).count('class="data-row') for href in led} == led
    assert {href.partition("status=")[2]: int(number) for href, number in legend} == Counter(shown.values())
    assert led[INSTANCE] == len(rows)
    assert led[f"{ROOT}incident/?state=told"] == open_now.exclude(confirmed_at=None).count()
    assert re.search(r"<b>4\d min[^<]*</b> since the last sweep", dashboard)

    found = listed(admin_client, INSTANCE)
    assert set(found) == set(rows)
    assert {name for name in rows if f" {shown[name]} " not in f" {found[name]} "} == set()
    assert {name for name, row in found.items() if " until " in row} == {"quiet"}
    assert set(listed(admin_client, f"{INSTANCE}?status=bad")) == {n for n in rows if shown[n] in UNWELL}

    of_hosts = listed(admin_client, f"{ROOT}host/")
    assert {name for name in places if SHOWN[name] not in of_hosts[name]} == set()
    on_dashboard = tabled(dashboard)
    for name, host in places.items():
        here = [shown[row.customer_id] for row in rows.values() if row.host_id == host.pk]
        unknown = f", {here.count('unknown')} of unknown health" if "unknown" in here else ""
        unwell = sum(status in UNWELL for status in here)
        page = text(admin_client, f"{ROOT}host/{host.pk}/change/")
        for said in (page, on_dashboard[name]):
            assert f"{len(here)} instances, {unwell} unwell{unknown}" in said, name
            assert (SHOWN[name] in said) == (name in TROUBLES or name == "back"), name
            for words in ("out of reach", "when last seen"):
                assert (words in said) == (SHOWN[name] == "out of reach"), name
        assert ("out of reach" in of_hosts[name]) == (SHOWN[name] == "out of reach"), name

    for name, row in rows.items():
        page = text(admin_client, f"{INSTANCE}{row.pk}/live/")
        assert f'desk-big"><span class="desk-status is-{shown[name]}"' in page, name
        assert ("is-muted" in page) == (name == "quiet"), name
        assert ("is-renamed" in page) == (name == "renamed"), name
        assert ("never seen healthy" in page) == (name == "new"), name
        assert ("abandoned by ada" in page) == (name == "seen"), name

    health = {name: row.health.status for name, row in rows.items()}
    listing = {row["customer_id"]: row for row in command("instances")}
    assert {name: row["status"] for name, row in listing.items()} == health
    assert {name for name, row in listing.items() if row["leaving_at"]} == {"leaving"}
    told = {row["id"]: row for row in command("incidents", "--open")}
    assert set(told) == set(open_now.values_list("pk", flat=True))
    assert {row["customer_id"] for row in told.values() if row["muted_until"]} == {"quiet"}
    assert {row["customer_id"] for row in told.values() if row["acknowledged_by"]} == {"seen"}

    over_api = caller.get("/instances?limit=200").document["items"]
    assert {row["customer_id"]: row for row in over_api} == listing
    for status in Status:
        items = caller.get(f"/instances?status={status}&limit=200").document["items"]
        assert {row["customer_id"] for row in items} == {n for n, known in health.items() if known == status}
    assert {row["id"] for row in caller.get("/incidents?limit=200").document["items"]} == set(told)

    now, swept = SYSTEM.now(), Sweep.objects.get(state="finished").finished_at
    ready = ask_database(now)
    assert swept is not None and ready["sweep"].age == (now - swept).total_seconds()
    assert "No channel for incidents is in use" in ready["channels"].message
