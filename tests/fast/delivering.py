"""A way to send that does as it is told, and messages to send."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime, timedelta

from instances.alerts import messages
from instances.alerts.delivery_rules import SENT, DeliveryOutcome, DeliveryResult
from instances.alerts.notify import enqueue_notifications
from instances.alerts.outbox import Send, deliver, due_at
from instances.documents import Document
from instances.models import Channel, Notification
from tests.factories import World

BROKEN = DeliveryResult(DeliveryOutcome.TRANSIENT, "It does not work.")
REFUSED = DeliveryResult(DeliveryOutcome.PERMANENT, "It is gone.")


class Script:
    """A way to send that keeps what it sent and does as `does` says."""

    def __init__(self) -> None:
        self.does: Callable[[str], DeliveryResult] = lambda url: SENT
        self.sent: list[Document] = []
        self.tried: list[str] = []

    def __call__(self, url: str, document: Document, timeout: float) -> DeliveryResult:
        self.tried.append(url)
        result = self.does(url)
        if result is SENT:
            self.sent.append(document)
        return result

    @property
    def titles(self) -> list[str]:
        return [document["title"] for document in self.sent]


def a_document(title: str = "m", level: str = "warning") -> Document:
    return messages.blank(uuid.uuid4(), "opened", level, title, "One sentence.")


def documents(count: int) -> list[Document]:
    return [a_document(f"m{number}") for number in range(count)]


def a_row(channel: Channel, now: datetime, title: str = "m", level: str = "warning") -> Notification:
    row = messages.row(channel, a_document(title, level), now)
    row.save()
    return row


def rows_of(channel: Channel, world: World, count: int) -> list[Notification]:
    """Messages m0, m1, … a millisecond apart."""
    return [
        a_row(channel, world.now + timedelta(milliseconds=number), f"m{number}") for number in range(count)
    ]


def go_on_until(world: World, send: Send, end: datetime) -> None:
    """Tell and deliver whenever something is due, until nothing is or the time is over."""
    deliver(world.clock, send)
    while (due := due_at()) is not None and max(due, world.now) < end:
        world.clock.advance(max((due - world.now).total_seconds(), 0.01))
        enqueue_notifications(world.now)
        deliver(world.clock, send)
