"""Messages reach their channels in order and once, whatever receivers do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core import serializers
from django.db import connection

from instances.alerts import send
from instances.alerts.delivery_rules import MOST_REFUSALS, SENT, DeliveryOutcome, DeliveryResult
from instances.alerts.outbox import deliver, due_at, send_test
from instances.documents import Document
from instances.models import Channel, Incident, Notification, NotifiedState
from tests.factories import World
from tests.fast.delivering import BROKEN, Script, a_row, go_on_until, rows_of
from tests.fast.telling import a_channel, outbox, told_after
from tests.receiver import Receiver

pytestmark = pytest.mark.django_db(transaction=True)
SENTINEL = "s3ntinel-Zq8xW"


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


def test_messages_arrive_in_order_and_once(world: World, receiver: Receiver) -> None:
    rows = rows_of(a_channel(url=receiver.url()), world, 4)
    assert deliver(world.clock) == 4
    assert deliver(world.clock) == 0
    assert receiver.accepted == [row.payload for row in rows]
    assert set(Notification.objects.values_list("sent_at", "tries", "error")) == {(world.now, 1, "")}
    assert due_at() is None


def test_after_an_outage_of_the_receiver_every_message_arrives_once(world: World, receiver: Receiver) -> None:
    receiver.behaviour = 500
    channel = a_channel(url=receiver.url())
    first = rows_of(channel, world, 2)
    go_on_until(world, send.send, world.now + timedelta(seconds=40))
    assert receiver.accepted == []
    assert Channel.objects.get().enabled
    last = a_row(channel, world.now, "last")
    receiver.behaviour = 200
    go_on_until(world, send.send, world.now + timedelta(seconds=700))
    assert receiver.accepted == [row.payload for row in (*first, last)]
    assert not Notification.objects.filter(sent_at=None).exists()
    assert (Channel.objects.get().failures, due_at()) == (0, None)


def test_a_receiver_that_is_not_there_gets_its_messages_when_it_is(world: World) -> None:
    with Receiver() as gone:
        channel = a_channel(url=gone.url())
    row = a_row(channel, world.now)
    assert deliver(world.clock) == 0
    row.refresh_from_db()
    assert (row.tries, row.error) == (1, "The connection was refused: nothing listens on the port.")
    with Receiver() as back:
        Channel.objects.filter(pk=channel.pk).update(url=back.url())
        go_on_until(world, send.send, world.now + timedelta(seconds=30))
        assert back.accepted == [row.payload]


def test_waits_between_attempts_grow_and_are_kept(world: World, script: Script) -> None:
    a_row(a_channel(), world.now)
    script.does = lambda url: BROKEN
    waits = []
    for _ in range(3):
        deliver(world.clock, script)
        retry_at = Channel.objects.get().retry_at
        assert retry_at is not None
        assert due_at() == retry_at
        waits.append((retry_at - world.now).total_seconds())
        assert deliver(world.clock, script) == 0
        world.clock.advance(waits[-1])
    assert len(script.tried) == 3
    for wait, middle in zip(waits, (5, 10, 20), strict=True):
        assert 0.8 * middle <= wait <= 1.2 * middle


def test_the_wait_a_receiver_asks_for_is_honoured(world: World, script: Script) -> None:
    a_row(a_channel(), world.now)
    script.does = lambda url: DeliveryResult(DeliveryOutcome.TRANSIENT, "Later.", 120)
    deliver(world.clock, script)
    assert Channel.objects.get().retry_at == world.now + timedelta(seconds=120)


def test_a_refusal_for_good_disables_the_channel_and_is_told_through_the_others(
    world: World, receiver: Receiver
) -> None:
    with Receiver(410) as gone:
        broken, other = a_channel("broken", url=gone.url()), a_channel("other", url=receiver.url())
        a_channel("off", enabled=False)
        incident = world.incident(world.instance())
        told_after(world, 30)
        world.clock.advance(1)
        refused_at = world.now
        go_on_until(world, send.send, world.now + timedelta(seconds=60))
        assert len(gone.got) == 1
    broken.refresh_from_db()
    reason = "The receiver answered with HTTP status 410."
    assert (broken.enabled, broken.disabled_reason) == (False, reason)
    assert [document["kind"] for document in receiver.accepted] == ["opened", "channel_disabled"]
    told = receiver.accepted[1]
    assert (told["level"], told["title"]) == ("warning", "Channel broken is disabled")
    assert told["message"] == f"Nothing is sent to broken until it is enabled again: {reason}"
    assert set(Notification.objects.filter(channel=broken).values_list("given_up_at", "error")) == {
        (refused_at, reason)
    }
    assert list(NotifiedState.objects.filter(incident=incident).values_list("channel", flat=True)) == [
        other.pk
    ]


def picky(refused: str) -> Callable[[str, Document, float], DeliveryResult]:
    """A receiver that answers 400 to every message with this in its title."""
    answers = {True: DeliveryResult(DeliveryOutcome.MESSAGE_REFUSED, "400."), False: SENT}
    return lambda _url, document, _timeout: answers[refused in document["title"]]


def test_a_message_that_is_refused_for_its_content_goes_once_more_in_plain_characters(world: World) -> None:
    a_row(a_channel(), world.now, "Größe ✗ " + "long " * 100)
    sent: list[Document] = []

    def only_plain(_url: str, document: Document, _timeout: float) -> DeliveryResult:
        sent.append(document)
        return picky("✗")("", document, 0)

    assert deliver(world.clock, only_plain) == 1
    full, short = sent
    assert (short["id"], short["title"][:8]) == (full["id"], "Gr??e ? ")
    assert len(short["title"]) == 200


def test_a_message_that_is_refused_in_plain_form_too_is_given_up_alone(world: World) -> None:
    channel = a_channel()
    for number, title in enumerate(["m0", "bad", "m2"]):
        a_row(channel, world.now + timedelta(milliseconds=number), title)
    assert deliver(world.clock, picky("bad")) == 2
    channel.refresh_from_db()
    assert (channel.enabled, channel.refusals) == (True, 0), "another message arrived since"
    [given_up] = Notification.objects.exclude(given_up_at=None)
    assert (given_up.payload["title"], given_up.error) == ("bad", "400.")


def test_a_receiver_that_refuses_every_message_is_a_channel_that_does_not_work(world: World) -> None:
    channel, other = a_channel("other"), a_channel("ops")
    other.enabled = False
    other.save()
    Channel.objects.filter(pk=channel.pk).update(refusals=MOST_REFUSALS - 2)
    for number in range(2):
        assert Channel.objects.get(pk=channel.pk).enabled
        a_row(channel, world.now, f"bad {number}")
        deliver(world.clock, picky("bad"))
    channel.refresh_from_db()
    assert (channel.enabled, channel.disabled_reason) == (False, "400.")


def test_a_url_nobody_understands_disables_the_channel(world: World) -> None:
    a_row(a_channel(url="json://"), world.now)
    deliver(world.clock)
    assert Channel.objects.get().disabled_reason == send.UNUSABLE


def test_a_url_that_cannot_be_decrypted_is_our_trouble_and_not_the_receivers(
    world: World, script: Script
) -> None:
    row = a_row(a_channel(), world.now)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE instances_channel SET url = 'gAAAA-of-another-key'")
    deliver(world.clock, script)
    row.refresh_from_db()
    assert "can't be decrypted" in row.error
    assert Channel.objects.defer("url").get().enabled
    assert script.tried == []


def test_disabled_channels_are_left_alone(world: World, script: Script) -> None:
    a_row(a_channel(enabled=False), world.now)
    assert deliver(world.clock, script) == 0
    assert (script.tried, due_at()) == ([], None)


def test_what_is_held_is_due_as_well(world: World) -> None:
    a_channel()
    assert due_at() is None
    world.incident(world.instance())
    assert due_at() == world.now + timedelta(seconds=30)
    told_after(world, 30)
    assert due_at() == world.now


def test_a_test_message_arrives_at_once_whatever_waits(world: World, receiver: Receiver) -> None:
    channel = a_channel(url=receiver.url(), failures=9, retry_at=world.now + timedelta(hours=1))
    rows_of(channel, world, 9)
    row = send_test(channel, world.now, "ann")
    assert (row.kind, row.sent_at, row.tries, row.error) == ("test", world.now, 1, "")
    [document] = receiver.accepted
    assert (document["kind"], document["id"]) == ("test", str(row.pk))
    assert document["message"] == "ann tests the channel ops; nothing is wrong."
    assert deliver(world.clock) == 1, "what waited is tried again at once, as a digest"


@pytest.mark.parametrize("status", [500, 410])
def test_a_test_message_that_fails_says_why_and_changes_nothing(
    world: World, receiver: Receiver, status: int
) -> None:
    receiver.behaviour = status
    channel = a_channel(url=receiver.url(), enabled=False, disabled_reason="before")
    row = send_test(channel, world.now, "ann")
    assert (row.sent_at, row.error) == (None, f"The receiver answered with HTTP status {status}.")
    channel.refresh_from_db()
    assert (channel.enabled, channel.disabled_reason, channel.failures) == (False, "before", 0)
    Channel.objects.update(enabled=True)
    assert deliver(world.clock) == 0, "a test message is tried once"


def test_no_part_of_a_url_is_kept_or_logged(
    world: World, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    receiver.behaviour = 410
    channel = a_channel(url=receiver.url(f"/{SENTINEL}?-key={SENTINEL}&+X-Key={SENTINEL}"))
    a_channel("other", url=f"json://[{SENTINEL}")
    world.incident(world.instance())
    told_after(world, 30)
    deliver(world.clock)
    send_test(channel, world.now, "ann")
    rows: list[Any] = [*Notification.objects.all(), *NotifiedState.objects.all(), *Incident.objects.all()]
    kept = serializers.serialize("json", rows)
    reasons = str(list(Channel.objects.values_list("disabled_reason", flat=True)))
    assert SENTINEL in receiver.got[0].path
    assert outbox(kind="test") == ["ops test info"]
    assert SENTINEL not in kept + reasons + caplog.text


def test_news_of_a_host_goes_first_and_alone(world: World, receiver: Receiver) -> None:
    """However many messages about its instances wait, and would go as one."""
    channel = a_channel(url=receiver.url())
    rows_of(channel, world, 12)
    news = a_row(channel, world.now, "news")
    news.incident = world.host_incident()
    news.save()
    assert deliver(world.clock) == 2
    first, digest = receiver.accepted
    assert first == news.payload
    assert (digest["kind"], digest["count"]) == ("digest", 12)
