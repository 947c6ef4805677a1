"""What holds messages back: larger incidents, mutes, changes under way, quiet hours."""

from __future__ import annotations

import uuid
from datetime import time, timedelta

import pytest

from instances.alerts import notify
from instances.alerts.switching import channels_changed
from instances.incidents.findings import FindingChange, apply_findings
from instances.incidents.lifecycle import Alarm, open_incident
from instances.incidents.lifecycle import resolve as resolve_large
from instances.incidents.rules import FLEET, LOG, OUTSIDE, SELF
from instances.models import Host, Mute, Notification, NotifiedState, Operation
from tests.factories import World
from tests.fast.telling import HOUR, a_channel, many, resolve, told_after

pytestmark = pytest.mark.django_db


def test_a_host_that_is_down_is_one_message_and_its_end_another(world: World) -> None:
    """After that its instances are told of as ever: those that are still down."""
    a_channel()
    instances = [world.instance(f"c{number}") for number in range(1, 4)]
    incidents = [world.incident(instance) for instance in instances]
    host = world.host_incident()
    assert told_after(world, 0) == ["ops opened critical host:local"]
    assert told_after(world, 300) == []
    resolve(incidents[2], world.now)
    resolve_large(host, "the host answers again; 2 of 3 instances still down", world.now)
    assert told_after(world, 0) == [
        "ops opened warning c1", "ops opened warning c2", "ops summary info host:local",
    ]  # fmt: skip
    summary = Notification.objects.get(kind="summary").payload
    assert summary["message"] == "The host answers again; 2 of 3 instances still down."
    assert set(NotifiedState.objects.values_list("incident__key", "state")) == {
        ("host:local", "resolved"), ("health:c1", "warning"), ("health:c2", "warning"),
    }  # fmt: skip
    assert told_after(world, 60) == []
    resolve(incidents[0], world.now)
    assert told_after(world, 0) == ["ops resolved info c1"]


def test_a_host_holds_back_its_own_instances_only(world: World) -> None:
    other = Host.objects.create(name="other", docker_url="unix:///fake/two.sock")
    a_channel()
    world.incident(world.instance("c1"))
    world.incident(world.instance("c2", host=other))
    world.host_incident()
    assert told_after(world, 30) == ["ops opened warning c2", "ops opened critical host:local"]


def test_the_fleet_holds_back_hosts_and_instances_until_it_is_well(world: World) -> None:
    a_channel()
    world.incident(world.instance())
    fleet = world.large_incident(FLEET)
    host = world.host_incident()
    assert told_after(world, 30) == ["ops opened critical fleet"]
    resolve_large(fleet, "over", world.now)
    assert told_after(world, 0) == ["ops resolved info fleet", "ops opened critical host:local"]
    assert NotifiedState.objects.filter(incident=host, state="critical").exists()
    assert not NotifiedState.objects.filter(incident__kind="instance").exists(), "its host is still down"


@pytest.mark.parametrize("event", ["another is unpaused", "a channel is saved", "a host's trouble ends"])
def test_a_pause_is_told_after_ten_minutes_whatever_happens_meanwhile(world: World, event: str) -> None:
    a_channel()
    names = ["c1", "c2"]
    ids = {name: world.instance(name).pk for name in names}
    apply_findings([FindingChange(ids[name], "paused", "It is paused.") for name in names], world.now)
    world.clock.advance(60)
    if event == "another is unpaused":
        apply_findings([FindingChange(ids["c1"], "", "")], world.now)
    elif event == "a channel is saved":
        channels_changed({"ops": ["min_level"]}, world.now)
    else:
        resolve_large(world.host_incident(), "over", world.now)
    assert told_after(world, 539) == []
    assert "ops opened warning c2" in told_after(world, 1)


def test_the_end_of_one_trouble_hastens_no_other_on_its_host(world: World) -> None:
    a_channel()
    later = world.now + timedelta(minutes=5)
    crashing = world.incident(world.instance(), notify_at=later)
    lasting = open_incident(Alarm("log:x:c2", LOG, "log", "x", host=world.host), world.now)
    resolve_large(lasting, "over", world.now)
    crashing.refresh_from_db()
    assert crashing.notify_at == later


def test_another_cause_puts_off_no_message(world: World) -> None:
    a_channel()
    for second in range(0, 60, 10):
        cause = ("tls", "proxy")[second // 10 % 2]
        open_incident(Alarm("outside:proxy:203.0.113.7", OUTSIDE, cause, "x"), world.now)
        assert told_after(world, 10 if second < 50 else 9) == []
    assert told_after(world, 1) == ["ops opened critical outside:proxy:203.0.113.7"]


def test_trouble_of_dockmgr_itself_is_told_although_the_fleet_is_in_trouble(world: World) -> None:
    a_channel(hosts=["none"])
    world.large_incident(FLEET)
    world.large_incident(SELF, "beat")
    assert told_after(world, 0) == ["ops opened critical fleet", "ops opened critical self"]


def test_a_mute_holds_sending_and_at_its_end_the_difference_is_told(world: World) -> None:
    a_channel()
    until = world.now + timedelta(hours=1)
    Mute.objects.create(starts_at=world.now, until=until, by="ann", plan=world.plan)
    stays, ends = (world.incident(world.instance(name)) for name in ("c1", "c2"))
    assert told_after(world, 30) == []
    stays.refresh_from_db()
    assert stays.notify_at == until
    resolve(ends, world.now)
    assert told_after(world, HOUR - 31) == []
    assert told_after(world, 1) == ["ops opened warning c1"]


@pytest.mark.parametrize(("kind", "told"), [("update", False), ("restart", True)])
def test_a_change_under_way_is_waited_for(world: World, kind: str, told: bool) -> None:
    a_channel()
    instance = world.instance()
    world.incident(instance)
    Operation.objects.create(
        id=uuid.uuid4(), kind=kind, instance=instance, customer_id="c1", requested_by="tests",
        interrupts=True, created_at=world.now, lease_expires_at=world.now + timedelta(seconds=35),
    )  # fmt: skip
    assert bool(told_after(world, 30)) is told
    assert bool(told_after(world, 9)) is False
    assert bool(told_after(world, 1)) is not told, "the operation's process died"


def test_quiet_hours_let_only_the_critical_pass(world: World) -> None:
    """It is 12:00 UTC, which is 21:00 in Tokyo."""
    a_channel(quiet_from=time(20), quiet_to=time(8), timezone="Asia/Tokyo")
    warned = world.incident(world.instance("c1"))
    world.incident(world.instance("c2"), "critical")
    assert told_after(world, 30) == ["ops opened critical c2"]
    Notification.objects.update(sent_at=world.now)
    warned.refresh_from_db()
    assert warned.notify_at == world.now.replace(hour=23, minute=0, second=0)
    assert told_after(world, (warned.notify_at - world.now).total_seconds()) == [
        "ops opened warning c1", "ops reminder critical c2",
    ]  # fmt: skip


def test_a_time_zone_that_does_not_exist_stops_nobody(world: World) -> None:
    a_channel(quiet_from=time(20), quiet_to=time(8), timezone="Mars/Olympus")
    world.incident(world.instance())
    assert told_after(world, 30) == ["ops opened warning c1"]


def test_a_whole_host_that_comes_back_broken_is_told_of_in_batches(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notify, "BATCH", 3)
    a_channel()
    host = world.host_incident()
    told_after(world, 0)
    many(world, 2 * 3 + 1)
    assert told_after(world, 30) == []
    resolve_large(host, "the host answers again", world.now)
    assert len(told_after(world, 0)) == 2 * 3 + 2
    assert NotifiedState.objects.filter(state="warning").count() == 2 * 3 + 1
