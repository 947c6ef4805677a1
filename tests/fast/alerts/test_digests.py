"""Many messages become few, in order, and old ones are given up."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from pytest_django.fixtures import Settings

from instances.alerts import delivery_rules, messages, outbox
from instances.alerts.delivery_rules import SENT, DeliveryResult
from instances.alerts.outbox import deliver, due_at
from instances.alerts.switching import channels_changed
from instances.models import Channel, Notification
from tests.factories import World
from tests.fast.delivering import BROKEN, Script, a_row, documents, go_on_until, rows_of
from tests.fast.telling import a_channel

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def most(monkeypatch: pytest.MonkeyPatch) -> int:
    """How many messages one digest takes."""
    for module in (delivery_rules, outbox):
        monkeypatch.setattr(module, "DIGEST_MOST", 10)
    return 10


def test_up_to_five_go_one_by_one_and_more_as_one_digest(world: World, script: Script) -> None:
    few, many = a_channel("few", url="json://few"), a_channel("many", url="json://many")
    rows_of(few, world, 5)
    rows = rows_of(many, world, 6)
    a_row(many, world.now + timedelta(seconds=1), "worst", level="critical")
    assert deliver(world.clock, script) == 6
    digest = next(document for document in script.sent if document["kind"] == "digest")
    assert script.tried.count("json://few") == 5
    assert (digest["count"], digest["level"], digest["title"]) == (7, "critical", "7 messages")
    assert digest["messages"][:6] == [row.payload for row in rows]
    assert digest["message"] == "m0; m1; m2; and 4 more."
    kept = Notification.objects.get(kind="digest")
    assert (kept.payload, kept.sent_at) == (digest, world.now)
    assert kept.parts.filter(sent_at=world.now).count() == 7


def test_a_flood_reaches_a_channel_as_a_few_messages_a_minute(world: World, script: Script) -> None:
    channel = a_channel()
    began = world.now
    times = []

    def note(url: str) -> DeliveryResult:
        times.append(world.now)
        return SENT

    script.does = note
    for second in range(0, 40, 4):
        a_row(channel, began + timedelta(seconds=second), f"m{second}")
        world.clock.advance(4)
        deliver(world.clock, script)
    go_on_until(world, script, world.now + timedelta(seconds=120))
    singles = [d["title"] for d in script.sent if d["kind"] != "digest"]
    inside = [part["title"] for d in script.sent for part in d.get("messages", [])]
    assert sorted(singles + inside) == sorted(f"m{second}" for second in range(0, 40, 4))
    for moment in times:
        assert sum(moment <= other < moment + timedelta(seconds=60) for other in times) <= 5


def test_without_a_slot_messages_wait_until_there_is_one(world: World, script: Script) -> None:
    channel = a_channel()
    rows_of(channel, world, 5)
    deliver(world.clock, script)
    world.clock.advance(20)
    a_row(channel, world.now, "late")
    assert deliver(world.clock, script) == 0
    assert due_at() == world.now + timedelta(seconds=40)
    world.clock.advance(40)
    assert deliver(world.clock, script) == 1
    assert script.titles[-1] == "late"


def test_a_digest_that_fails_goes_before_what_came_later(world: World, script: Script) -> None:
    channel = a_channel()
    rows_of(channel, world, 6)
    script.does = lambda url: BROKEN
    deliver(world.clock, script)
    script.does = lambda url: SENT
    world.clock.advance(60)
    a_row(channel, world.now, "later")
    assert deliver(world.clock, script) == 2
    assert script.titles == ["6 messages", "later"]


def test_the_end_of_a_host_comes_after_a_digest_with_its_beginning(world: World, script: Script) -> None:
    channel, host = a_channel(), world.host_incident()
    rows_of(channel, world, 6)
    Notification.objects.update(incident=host)
    script.does = lambda url: BROKEN
    deliver(world.clock, script)
    script.does = lambda url: SENT
    world.clock.advance(60)
    Notification.objects.filter(pk=a_row(channel, world.now, "resolved").pk).update(incident=host)
    assert deliver(world.clock, script) == 2
    assert script.titles == ["6 messages", "resolved"]


def test_a_digest_holds_messages_and_never_a_digest(world: World, script: Script, most: int) -> None:
    channel = a_channel()
    rows = [messages.row(channel, document, world.now) for document in documents(most + 6)]
    for number, row in enumerate(rows):
        row.pk = UUID(int=number)  # of equal age, they stand before any digest
        row.payload["id"] = str(row.pk)
    Notification.objects.bulk_create(rows)
    script.does = lambda url: BROKEN
    deliver(world.clock, script)
    script.does = lambda url: SENT
    go_on_until(world, script, world.now + timedelta(seconds=120))
    digests = [document for document in script.sent if document["kind"] == "digest"]
    inside = [part for document in digests for part in document["messages"]]
    assert sorted(document["count"] for document in digests) == [6, most]
    assert {part["kind"] for part in inside} == {"opened"}
    singles = [document for document in script.sent if document["kind"] != "digest"]
    assert sorted(d["id"] for d in inside + singles) == sorted(str(row.pk) for row in rows)


def test_a_digest_keeps_its_place_before_what_it_left_out(world: World, script: Script, most: int) -> None:
    channel = a_channel()
    Notification.objects.bulk_create(
        messages.row(channel, document, world.now + timedelta(milliseconds=number))
        for number, document in enumerate(documents(most + 6))
    )
    world.clock.advance(5)
    script.does = lambda url: BROKEN
    deliver(world.clock, script)
    script.does = lambda url: SENT
    world.clock.advance(10)
    deliver(world.clock, script)
    assert script.titles == [f"{most} messages", "6 messages"]


def test_a_digest_is_as_old_as_the_newest_of_its_messages(
    world: World, script: Script, settings: Settings
) -> None:
    channel = a_channel()
    for second in range(6):
        a_row(channel, world.now + timedelta(seconds=second))
    script.does = lambda url: BROKEN
    deliver(world.clock, script)
    world.clock.advance(settings.DELIVERY_GIVE_UP + 3)
    deliver(world.clock, script)
    assert not Notification.objects.exclude(given_up_at=None).exists()
    world.clock.advance(600)
    deliver(world.clock, script)
    assert Notification.objects.exclude(given_up_at=None).count() == 7


def test_a_message_too_old_is_given_up(world: World, script: Script, settings: Settings) -> None:
    channel = a_channel()
    rows_of(channel, world, 6)
    script.does = lambda url: BROKEN
    deliver(world.clock, script)
    world.clock.advance(settings.DELIVERY_GIVE_UP / 2)
    young = a_row(channel, world.now, "young")
    deliver(world.clock, script)
    assert not Notification.objects.exclude(given_up_at=None).exists()
    world.clock.advance(settings.DELIVERY_GIVE_UP / 2 + 1)
    deliver(world.clock, script)
    kept = Notification.objects.filter(given_up_at=None)
    assert list(kept) == [young]
    assert set(Notification.objects.exclude(pk=young.pk).values_list("error", flat=True)) == {BROKEN.error}
    script.does = lambda url: SENT
    go_on_until(world, script, world.now + timedelta(seconds=400))
    assert script.titles == ["young"]


def test_what_is_given_up_while_it_is_put_together_is_no_digest(
    world: World, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would wait for a channel that is off, and go out when that is enabled again."""
    channel = a_channel()
    rows_of(channel, world, 6)

    def switched_off_meanwhile(sizes: list[int]) -> int:
        Channel.objects.update(enabled=False)
        channels_changed({channel.name: ["enabled"]}, world.now)
        return len(sizes)

    monkeypatch.setattr("instances.alerts.outbox.as_many_as_fit", switched_off_meanwhile)
    assert deliver(world.clock, script) == 0
    assert not Notification.objects.filter(given_up_at=None).exists()
    assert script.sent == []
