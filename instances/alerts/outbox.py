"""Delivers the outbox: each channel's messages in order, a channel at a time, side by side."""

from __future__ import annotations

import json
import logging
import random
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import cached_property

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet

from instances.alerts import messages
from instances.alerts import send as sending
from instances.alerts.delivery_rules import (
    DIGEST_MOST,
    LONGEST_ASKED,
    MOST_REFUSALS,
    SENDS,
    WINDOW,
    DeliveryOutcome,
    DeliveryResult,
    as_many_as_fit,
    free_at,
    retry_wait,
    together,
)
from instances.alerts.giving_up import give_up, give_up_refused
from instances.alerts.pagers import pager_at
from instances.alerts.unsent import UNSENT, unsent
from instances.counters import count_deliveries
from instances.db.moments import ahead, reached
from instances.db.sessions import SESSIONS
from instances.documents import Document
from instances.errors import DockmgrError
from instances.lib.clock import Clock
from instances.models import Channel, Incident, Notification

logger = logging.getLogger(__name__)
Send = Callable[[str, Document, float], DeliveryResult]

CHANNELS_AT_ONCE = 32
LARGE = ("host", "fleet", "self")
ERROR_LENGTH = 255
GOES_ON = (DeliveryOutcome.SENT, DeliveryOutcome.MESSAGE_REFUSED)


def deliver(clock: Clock, send: Send = sending.send) -> int:
    """Send what is due on every channel; returns how many messages arrived.

    Channels do not wait for each other. Any number of processes may deliver at once: a channel
    belongs to whoever holds its lease. Returns after about two times DELIVERY_TIMEOUT at the latest.
    """
    due = _due_channels(clock.now())
    if not due:
        return 0
    with ThreadPoolExecutor(min(len(due), CHANNELS_AT_ONCE), thread_name_prefix="deliver") as pool:
        rounds = [pool.submit(_deliver_to, channel, clock, send) for channel in due]
    return sum(done.result() for done in rounds)


def due_at() -> datetime | None:
    """When the next message will be due: one that waits, or news that may have to be told by then."""
    held = Incident.objects.exclude(notify_at=None).order_by("notify_at")
    moments = list(held.values_list("notify_at", flat=True)[:1])
    for channel in Channel.objects.filter(enabled=True).defer("url"):
        first = _waiting(channel).values_list("created_at", flat=True).first()
        if first is not None:
            moments.append(_ready_at(channel, first))
    return min((moment for moment in moments if moment), default=None)


def _ready_at(channel: Channel, first: datetime) -> datetime:
    """When a message that waits since `first` may be sent."""
    slot = free_at(_recently_sent(channel, first), first)
    return max(slot, channel.retry_at or slot, channel.lease_expires_at or slot)


def send_test(channel: Channel, now: datetime, requested_by: str, send: Send = sending.send) -> Notification:
    """Send a test message at once, past what waits and even if the channel is disabled.

    Tried once: `sent_at` says that it arrived, otherwise `error` says why not. Nothing about the
    channel changes, except that after a success waiting messages are tried again at once.
    """
    identity = uuid.uuid4()
    text = f"{requested_by} tests the channel {channel.name}; nothing is wrong."
    document = messages.blank(identity, "test", "info", "Test message", text)
    result = _attempt(channel, document, send)
    arrived = result.outcome is DeliveryOutcome.SENT
    if arrived:
        Channel.objects.filter(pk=channel.pk).update(failures=0, retry_at=None)
    row = messages.row(channel, document, now)
    row.tries, row.error = 1, result.error[:ERROR_LENGTH]
    row.sent_at, row.given_up_at = (now, None) if arrived else (None, now)
    row.save(force_insert=True)
    return row


def _due_channels(now: datetime) -> list[int]:
    waiting = Notification.objects.filter(UNSENT, digest=None)
    channels = Channel.objects.filter(_free(now), enabled=True, pk__in=waiting.values("channel"))
    return list(channels.values_list("pk", flat=True))


def _free(now: datetime) -> Q:
    ready = Q(retry_at=None) | reached("retry_at", now, timedelta(seconds=LONGEST_ASKED))
    return ready & (Q(lease_expires_at=None) | reached("lease_expires_at", now, _lease(now) - now))


def _waiting(channel: Channel) -> QuerySet[Notification]:
    return unsent(channel).filter(digest=None)


def _recently_sent(channel: Channel, now: datetime) -> list[datetime]:
    rows = Notification.objects.filter(channel=channel, sent_at__gt=now - WINDOW, digest=None)
    rows = rows.exclude(ahead("sent_at", now))
    return [
        moment for moment in rows.order_by("-sent_at").values_list("sent_at", flat=True)[:SENDS] if moment
    ]


def _attempt(channel: Channel, document: Document, send: Send) -> DeliveryResult:
    """One attempt, and one more in plain form where the receiver refuses what is in the message."""
    try:
        result = send(channel.url, document, settings.DELIVERY_TIMEOUT)
        if result.outcome is DeliveryOutcome.MESSAGE_REFUSED:
            result = send(channel.url, messages.plain(document), settings.DELIVERY_TIMEOUT)
        return result
    except DockmgrError as error:  # the URL can't be decrypted, which is our own trouble
        return DeliveryResult(DeliveryOutcome.TRANSIENT, str(error))


def _deliver_to(channel_id: int, clock: Clock, send: Send) -> int:
    """A channel's round on a thread of its own."""
    with SESSIONS.turn():
        round_ = _Round.claim(channel_id, clock, send)
        return round_.run() if round_ is not None else 0


class _Round:
    """The right to deliver to one channel for a while.

    A round that dies leaves its lease behind; when that has run out somebody else takes over and
    sends what was not marked as sent, under the same id.
    """

    def __init__(self, channel: Channel, clock: Clock, send: Send) -> None:
        self._channel, self._clock, self._send = channel, clock, send
        self._mine = Channel.objects.filter(pk=channel.pk, token=channel.token)

    @classmethod
    def claim(cls, channel_id: int, clock: Clock, send: Send) -> _Round | None:
        """Take the channel, or None when nothing may be sent there now or somebody else does it."""
        now = clock.now()
        free = Channel.objects.filter(_free(now), pk=channel_id, enabled=True)
        channel = free.defer("url").first()
        if channel is None:
            return None
        won = free.filter(token=channel.token).update(token=F("token") + 1, lease_expires_at=_lease(now))
        channel.token += 1
        return cls(channel, clock, send) if won else None

    def run(self) -> int:
        """Send until nothing is left, something fails, or a long round gives others a turn."""
        until = self._clock.now() + timedelta(seconds=settings.DELIVERY_TIMEOUT)
        arrived = 0
        while (row := self._next()) is not None:
            outcome = self._deliver(row)
            arrived += outcome is DeliveryOutcome.SENT
            if outcome not in GOES_ON or self._clock.now() >= until or not self._is_still_mine():
                break
        # Not in a `finally`: after an error the lease keeps the next round off for a while.
        self._mine.update(lease_expires_at=None)
        return arrived

    def _is_still_mine(self) -> bool:
        return bool(self._mine.update(lease_expires_at=_lease(self._clock.now())))

    def _next(self) -> Notification | None:
        rows = self._first_waiting()
        if not rows:
            return None
        if self._is_pager:  # a digest would be an incident there that nobody ends
            return rows[0]
        now = self._clock.now()
        count = together(len(rows), _recently_sent(self._channel, now), now)
        if not count:
            return None
        parts = [row for row in rows[:count] if row.kind != "digest"]
        parts = parts[: as_many_as_fit([len(json.dumps(row.payload)) for row in parts])]
        is_single = len(parts) < 2 or rows[0].kind == "digest"
        return rows[0] if is_single else self._digest(parts)

    @cached_property
    def _is_pager(self) -> bool:
        return pager_at(self._channel) is not None

    def _first_waiting(self) -> list[Notification]:
        """What goes next: news of hosts, the fleet and dockmgr first, never buried among instances'."""
        # Two queries: a rank of kinds would sort all that waits for every message.
        waiting = _waiting(self._channel)
        inside = Notification.objects.filter(digest=OuterRef("pk"), incident__kind__in=LARGE)
        large = waiting.filter(Q(incident__kind__in=LARGE) | Exists(inside))
        most = 1 if self._is_pager else DIGEST_MOST + 1
        return list(large[:most]) or list(waiting[:most])

    @transaction.atomic
    def _digest(self, parts: Sequence[Notification]) -> Notification | None:
        """None where the channel was switched off, or changed, since the parts were read."""
        if not self._is_still_mine():
            return None
        document = messages.digest(uuid.uuid4(), [row.payload for row in parts])
        digest = messages.row(self._channel, document, parts[-1].created_at)
        digest.save(force_insert=True)
        Notification.objects.filter(pk__in=[row.pk for row in parts]).update(digest=digest)
        return digest

    def _deliver(self, row: Notification) -> DeliveryOutcome:
        result = _attempt(self._channel, row.payload, self._send)
        endings = {
            DeliveryOutcome.SENT: self._arrived,
            DeliveryOutcome.TRANSIENT: self._failed,
            DeliveryOutcome.MESSAGE_REFUSED: self._message_refused,
            DeliveryOutcome.PERMANENT: self._refused,
        }
        endings[result.outcome](row, result, self._clock.now())
        return result.outcome

    @transaction.atomic
    def _arrived(self, row: Notification, result: DeliveryResult, now: datetime) -> None:
        if result.error:
            logger.warning("Channel %s: %s", self._channel, result.error)
        Channel.objects.filter(pk=self._channel.pk).update(failures=0, refusals=0, retry_at=None)
        _with_parts(row).update(sent_at=now, tries=F("tries") + 1, error=result.error[:ERROR_LENGTH])
        self._channel.failures = self._channel.refusals = 0
        count_deliveries("sent", [row.level])

    @transaction.atomic
    def _failed(self, row: Notification, result: DeliveryResult, now: datetime) -> None:
        failures = self._channel.failures + 1
        wait = retry_wait(failures, result.wait, random.uniform(-1, 1))  # noqa: S311
        self._mine.update(failures=failures, retry_at=now + wait)
        _with_parts(row).update(tries=F("tries") + 1, error=result.error[:ERROR_LENGTH])
        logger.warning(
            "Channel %s: %s Next attempt in %.0f s.", self._channel, result.error, wait.total_seconds()
        )
        self._give_up(now - timedelta(seconds=settings.DELIVERY_GIVE_UP), now)

    def _give_up(self, before: datetime, now: datetime) -> None:
        old = Q(digest=None, created_at__lte=before) | Q(digest__created_at__lte=before)
        given_up = give_up(self._channel, unsent(self._channel).filter(old), now)
        count_deliveries("given_up", given_up)
        if given_up:
            logger.error("Channel %s: %d messages were given up as too old.", self._channel, len(given_up))

    @transaction.atomic
    def _message_refused(self, row: Notification, result: DeliveryResult, now: datetime) -> None:
        """This message alone is given up; too many of them in a row are the channel's fault."""
        self._channel.refusals += 1
        if self._channel.refusals >= MOST_REFUSALS:
            self._refused(row, result, now)
            return
        reason = result.error[:ERROR_LENGTH]
        if not self._mine.update(refusals=self._channel.refusals):
            return  # The channel leads elsewhere by now, where the message goes as well.
        _with_parts(row).update(tries=F("tries") + 1)
        give_up_refused(self._channel, _with_parts(row), now, reason)
        count_deliveries("given_up", [row.level])
        logger.error("Channel %s: a message was given up: %s", self._channel, result.error)

    @transaction.atomic
    def _refused(self, row: Notification, result: DeliveryResult, now: datetime) -> None:
        """Disable the channel and say so through the others."""
        reason = result.error[:ERROR_LENGTH]
        if not self._mine.update(
            enabled=False, disabled_reason=reason, failures=0, refusals=0, retry_at=None
        ):
            return
        _with_parts(row).update(tries=F("tries") + 1)
        given_up = give_up(self._channel, unsent(self._channel), now, reason)
        others = Channel.objects.told_of_incidents().defer("url")
        told = [messages.row(other, messages.disabled(self._channel, reason), now) for other in others]
        Notification.objects.bulk_create(told)
        count_deliveries("given_up", given_up)
        logger.error("Channel %s was disabled: %s", self._channel, reason)


def _lease(now: datetime) -> datetime:
    return now + timedelta(seconds=3 * settings.DELIVERY_TIMEOUT)


def _with_parts(row: Notification) -> QuerySet[Notification]:
    return Notification.objects.filter(Q(pk=row.pk) | Q(digest=row.pk))
