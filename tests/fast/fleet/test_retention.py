"""What is old is forgotten, and what still means something is kept."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.db import OperationalError, ProgrammingError

from instances.fleet import by_instance, history
from instances.fleet.retention import purge
from instances.incidents import lifecycle
from instances.incidents.rules import FLEET, SELF
from instances.models import AuditEntry, Bulk, Channel, Incident, Mute, Notification, Operation, Transition
from tests.factories import World

pytestmark = pytest.mark.django_db
YEARS = timedelta(days=900)


def test_records_go_after_their_days_and_open_ones_stay(world: World) -> None:
    world.instance()
    over = world.large_incident(FLEET)
    lifecycle.resolve(over, "All back.", world.now)
    world.large_incident(SELF, "beat")
    world.restart()
    channel = Channel.objects.create(name="ops", url="json://127.0.0.1/hook")
    Notification.objects.create(channel=channel, kind="opened", level="critical", created_at=world.now)
    until = world.now + timedelta(hours=1)
    Mute.objects.create(host=world.host, starts_at=world.now, until=until, by="ann")
    AuditEntry.objects.create(at=world.now, surface="command", actor="cli:ann", action="restart")
    early = purge(world.now + timedelta(days=399))
    assert early.pop("events") > 0
    assert sum(early.values()) == 1  # the health check of the restart
    purged = purge(world.now + YEARS)
    names = ("incidents", "mutes", "notifications", "operations", "audit entries")
    assert [purged[name] for name in names] == [1, 1, 1, 1, 1]
    assert [incident.key for incident in Incident.objects.all()] == ["self"]
    assert not Operation.objects.exists()


def test_logins_that_are_over_go_and_so_do_orders_that_are_old(world: World) -> None:
    for number, day in enumerate((-1, 1)):
        Session.objects.create(session_key=f"s{number}", expire_date=world.now + timedelta(days=day))
    Bulk.objects.create(verb="restart", by="ann", created_at=world.now)
    Bulk.objects.create(verb="update", by="ann", created_at=world.now, due_at=world.now)
    assert (purge(world.now)["logins"], purge(world.now)["orders"]) == (1, 0)
    assert Session.objects.get().session_key == "s1"
    assert purge(world.now + YEARS)["orders"] == 1
    assert Bulk.objects.get().verb == "update"


def test_the_last_known_availability_stays_however_old(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(by_instance, "AT_ONCE", 1)
    instances = [world.instance("c1"), world.instance("c2")]
    for instance in instances:
        for day, availability in enumerate(["up", "down", "up", "down"]):
            at = world.now + timedelta(days=day)
            Transition.objects.create(instance=instance, at=at, availability=availability)
    assert purge(world.now + YEARS)["transitions"] == 6
    assert {row.at for row in Transition.objects.all()} == {world.now + timedelta(days=3)}


def test_a_transition_that_reaches_into_the_kept_time_stays(world: World) -> None:
    instance = world.instance()
    for day in (0, 300):
        Transition.objects.create(instance=instance, at=world.now + timedelta(days=day), availability="up")
    assert purge(world.now + timedelta(days=500))["transitions"] == 0
    assert purge(world.now + timedelta(days=701))["transitions"] == 1


def refuses(*_given: Any) -> int:
    raise ProgrammingError("must be owner of table instances_check_20260302")


def test_what_can_not_be_deleted_keeps_nothing_else(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    world.instance()
    world.restart()
    monkeypatch.setattr(history, "forget_checks", refuses)
    purged = purge(world.now + YEARS)
    assert ("checks" in purged, purged["operations"]) == (False, 1)
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == [
        "Old checks could not be deleted. The database can't be reached or refuses to work (DATABASE_URL)."
    ]


def test_a_database_that_is_away_is_not_asked_for_each(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def is_away(*_given: Any) -> int:
        raise OperationalError("the connection is closed")

    monkeypatch.setattr(history, "forget_checks", is_away)
    monkeypatch.setattr(by_instance, "forget", lambda _: pytest.fail("asked again"))
    with pytest.raises(OperationalError):
        purge(world.now + YEARS)
