"""What is paused or muted looks so, says who and why, and is ended where it can be seen."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client

from instances.alerts import mute
from instances.db.clock import SYSTEM
from instances.incidents.lifecycle import Alarm, open_incident
from instances.models import Host, Mute, Plan
from tests.desk import INSTANCE, at_desk, audited, do, said
from tests.factories import World
from tests.web.callers import Caller

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.filterwarnings("ignore:No directory at:UserWarning"),  # nobody collected static files here
]
ROOT = "/admin/instances/"


def text(client: Client, address: str) -> str:
    page = client.get(address)
    assert page.status_code == 200, address
    return page.content.decode()


def test_a_mute_begins_and_ends_by_the_time_that_decides(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The machine the desk runs on may be an hour off."""
    right = SYSTEM.now() - timedelta(hours=1)
    monkeypatch.setattr("instances.db.clock.DatabaseClock.now", lambda _: right)
    client, page = at_desk("operator"), f"{ROOT}host/{world.host.pk}/"
    client.post(f"{page}mute/", {"reason": "moving", "lasts": "2h"})
    row = Mute.objects.get()
    assert (row.starts_at, row.until) == (right, right + timedelta(hours=2))
    monkeypatch.setattr("instances.db.clock.DatabaseClock.now", lambda _: right + timedelta(minutes=1))
    done = client.post(f"{page}unmute/", {"reason": "moved"})
    assert "Host local is no longer muted." in said(done)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["host", "plan"])
def test_a_host_and_a_plan_are_muted_and_unmuted_on_their_pages(world: World, kind: str) -> None:
    rows: dict[str, Host | Plan] = {"host": world.host, "plan": world.plan}
    row = rows[kind]
    client, page = at_desk("operator"), f"{ROOT}{kind}/{row.pk}/"
    assert "It is not muted." in text(client, f"{page}change/")
    done = client.post(f"{page}mute/", {"reason": "moving", "lasts": "2h"})
    assert f"{kind.capitalize()} {row.name} is muted until" in said(done)  # type: ignore[arg-type]
    shown = text(client, f"{page}change/")
    assert "by admin:operator until" in shown and "moving" in shown and "dialog-unmute" in shown
    done = client.post(f"{page}unmute/", {"reason": "moved"})
    assert said(done) == f"{kind.capitalize()} {row.name} is no longer muted."  # type: ignore[arg-type]
    assert (audited("unmute").target, audited("unmute").reason) == (f"{kind} {row.name}", "moved")
    assert not Mute.objects.filter(until__gt=SYSTEM.now()).exists()


@pytest.mark.parametrize("kind", ["instance", "host", "plan"])
def test_a_mute_holds_by_the_clock_that_all_processes_share(
    world: World, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = {"instance": world.instance(), "host": world.host, "plan": world.plan}[kind]
    now = SYSTEM.now() + timedelta(hours=1)
    monkeypatch.setattr(SYSTEM, "now", lambda: now)
    page = f"{INSTANCE}{row.pk}/do/" if kind == "instance" else f"{ROOT}{kind}/{row.pk}/"
    at_desk("operator").post(f"{page}mute/", {"reason": "moving", "lasts": "2h"})
    assert Mute.objects.get().starts_at == now


@pytest.mark.parametrize("kind", ["instance", "host", "plan"])
def test_what_is_muted_looks_muted_wherever_it_is_listed(world: World, kind: str) -> None:
    instance = world.instance("c1")
    incident = world.incident(instance)
    now = SYSTEM.now()
    row = {"instance": instance, "host": world.host, "plan": world.plan}[kind]
    until = mute.end("2h", None, now)
    mute.mute(mute.Scope(kind, row), until, now, by="cli:ann", reason="moving")  # type: ignore[arg-type]
    client = at_desk("operator")
    page = text(client, f"{INSTANCE}{instance.pk}/change/")
    assert "is-muted" in page and "by cli:ann until" in page and "moving" in page
    assert f"until {until:%d %b %H:%M} UTC" in text(client, INSTANCE)
    assert f"until {until:%d %b %H:%M} UTC" in text(client, f"{ROOT}{kind}/")
    assert "is-muted" in text(client, f"{ROOT}incident/{incident.pk}/change/")
    mutes = text(client, f"{ROOT}mute/")
    assert "in force" in mutes and f"{ROOT}{kind}/{row.pk}/change/" in mutes


def test_the_page_says_who_paused_it_since_when_and_why(world: World) -> None:
    instance = world.instance("c1")
    do("operator", instance, "pause", reason="moving house")
    page = text(at_desk("viewer"), f"{INSTANCE}{instance.pk}/change/")
    assert "Paused by admin:operator since" in page and "moving house" in page
    do("operator", instance, "resume")
    assert "Paused by" not in text(at_desk("viewer"), f"{INSTANCE}{instance.pk}/change/")


def test_a_pause_over_the_api_says_so_too(world: World, caller: Caller) -> None:
    world.instance("c1")
    paused = caller.post("/instances/c1/pause", {"reason": "moving"}).document
    assert (paused["paused_by"], paused["pause_reason"]) == ("api:admin", "moving")


def test_an_acknowledgement_over_the_api_may_say_why(world: World, caller: Caller) -> None:
    incident = world.incident(world.instance("c1"))
    seen = caller.post(f"/incidents/{incident.pk}/acknowledge", {"reason": "on it"}).document
    assert seen["events"][-1]["text"] == "by api:admin: on it"


def test_the_page_of_a_certificate_does_not_stop_the_healing_of_its_host(world: World) -> None:
    ends = Alarm("certificate:local", "certificate", "ends", "It ends.", host=world.host)
    row = open_incident(ends, SYSTEM.now())
    client, page = at_desk("operator"), f"{ROOT}incident/{row.pk}/"
    shown = text(client, f"{page}change/")
    assert "dialog-mute" not in shown and "holds the healing of its instances as well" in shown
    done = client.post(f"{page}mute/", {"reason": "known", "lasts": "2h"})
    assert "holds the healing" in said(done) and not Mute.objects.exists()  # type: ignore[arg-type]
    mute.mute(mute.scope(host="local"), mute.end("2h", None, SYSTEM.now()), SYSTEM.now(), by="cli:ann")
    assert "is-muted" in text(client, f"{page}change/")
    assert "nothing is healed there" in text(client, f"{ROOT}incident/{world.host_incident().pk}/change/")
