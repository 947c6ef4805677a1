"""Watching dockmgr itself, from every process and without beat: one alarm that says which part is gone."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from django.db import Error as DatabaseFailure
from django.db.models import Exists, Max, OuterRef, Q

from instances.alerts.switching import BY_HAND
from instances.errors import OutOfReachError
from instances.health.state import Status
from instances.incidents.lifecycle import Alarm
from instances.incidents.rules import SELF
from instances.lib.clock import AHEAD, known
from instances.models import Channel, Instance, Notification, Operation, Pulse, Sweep, Transition
from instances.monitoring import self_rules
from instances.monitoring.alarms import end_alarm, open_one, raise_alarm
from instances.monitoring.self_rules import LEAST_CROWD, Part, Signs

logger = logging.getLogger(__name__)

PULSE_EVERY = timedelta(seconds=5)
LONG_BLIND = self_rules.SILENCE / 2


def show_life(part: str, now: datetime) -> None:
    """Leave a sign of life; written down only when the last one is some seconds old."""
    name = str(part)
    if not Pulse.objects.filter(pk=name, at__gt=now - PULSE_EVERY, at__lte=now + AHEAD).exists():
        Pulse.objects.update_or_create(name=name, defaults={"at": now})


def oldest_waiting() -> datetime | None:
    """When the oldest order was given that nobody has begun."""
    waiting = Operation.objects.filter(finished_at=None, started_at=None).order_by("created_at")
    return waiting.values_list("created_at", flat=True).first()


def nobody_is_told() -> bool:
    """Whether no channel is told of incidents, because the last one refused for good."""
    if Channel.objects.told_of_incidents().exists():
        return False
    refused = Channel.objects.filter(enabled=False, incidents=True).exclude(disabled_reason="").defer("url")
    by_hand = Pulse.objects.filter(pk=BY_HAND).values_list("at", flat=True).first()
    return self_rules.last_one_refused([_refused_at(channel) for channel in refused], by_hand)


def _refused_at(channel: Channel) -> datetime | None:
    """When its last message was given up for the reason; None where no record is kept of that."""
    lost = Notification.objects.filter(channel=channel, error=channel.disabled_reason).exclude(kind="test")
    moment: datetime | None = lost.aggregate(last=Max("given_up_at"))["last"]
    return moment


def not_looked_at() -> int:
    """How many instances the last two sweeps that finished have not looked at, for a reason of ours.

    One that was resumed has no look from before, and counts once it was resumed before both.
    """
    begun = (
        Sweep.objects.filter(state="finished").order_by("-started_at").values_list("started_at", flat=True)
    )
    last = list(begun[:2])
    if len(last) < 2:
        return 0
    changed = Operation.objects.filter(customer_id=OuterRef("customer_id"), finished_at=None)
    unseen_since_resumed = Q(health__checked_at=None, health__status=Status.UNKNOWN.value)
    lately = Transition.objects.filter(instance=OuterRef("pk"), at__gte=last[1])
    rows = Instance.objects.active().filter(
        Q(health__checked_at__lt=last[1]) | unseen_since_resumed, provisioned_at__lt=last[1]
    )
    return rows.exclude(Exists(changed)).exclude(Exists(lately)).count()


class SelfCheck:
    """What one process needs to judge whether dockmgr works.

    `interval` tells the seconds between sweeps, `lengths` the messages that wait in each queue
    (raising OutOfReachError). `part` is what this process itself is a sign of life of. `scheduled`
    tells whether beat has a schedule for sweeps.
    """

    def __init__(
        self,
        up_since: datetime,
        interval: Callable[[], float],
        lengths: Callable[[], Mapping[str, int]],
        part: Part | None = None,
        scheduled: Callable[[], bool] = lambda: True,
    ) -> None:
        self._up_since = up_since
        self._interval = interval
        self._lengths = lengths
        self._part = part
        self._scheduled = scheduled
        self._crowded_since: Mapping[str, datetime] | None = {}
        self._unseen = 0
        self._blind_since: datetime | None = None
        self._told = ""  # of a broker that does not answer: one line an outage

    def look_at_queues(self, now: datetime) -> None:
        """Ask the broker, which may take its time, how many messages wait; and count who is not looked at."""
        self._unseen = not_looked_at()
        try:
            lengths = self._lengths()
        except OutOfReachError as error:
            if str(error) != self._told:
                logger.warning("%s", error)
            self._told, self._crowded_since = str(error), None
            return
        self._told = ""
        long = [queue for queue, length in lengths.items() if length > LEAST_CROWD]
        most = self_rules.crowd(Instance.objects.active().count()) if long else 0
        before = self._crowded_since or {}
        self._crowded_since = {queue: before.get(queue, now) for queue in long if lengths[queue] > most}

    def judge(self, now: datetime, *, stood_still: bool = False) -> None:
        """Show life, and raise, change or end the alarm about dockmgr itself.

        While the database can't be used nobody can show life, nor while the machine stands still, as virtual
        ones do: who could not judge for long waits for others as after its own start.
        """
        try:
            self._judge(now, stood_still)
        except DatabaseFailure:
            self._blind_since = self._blind_since or now
            raise
        self._blind_since = None

    def _judge(self, now: datetime, stood_still: bool) -> None:
        if self._part is not None:
            show_life(self._part, now)
        blind_for = now - (self._blind_since or now)
        if stood_still or blind_for >= LONG_BLIND:
            self._up_since = now
        findings = self_rules.judge_parts(self._signs(now))
        incident = open_one(SELF)
        parts = self_rules.gone(findings, self_rules.parts_of(incident.cause) if incident else ())
        if parts:
            raise_alarm(Alarm(SELF, SELF, self_rules.cause(parts), self_rules.describe(parts)), now)
        elif incident:
            end_alarm(SELF, "all parts of dockmgr work again", now)

    def _signs(self, now: datetime) -> Signs:
        self._up_since = min(self._up_since, now)  # the clock may be set back
        interval, swept_at = self._interval(), known(last_swept_at(), now)
        late = self_rules.overdue(swept_at, now, interval)
        return Signs(
            now=now,
            up_since=self._up_since,
            interval=interval,
            swept_at=swept_at,
            sweeping=late
            and Sweep.objects.filter(state="running", attended=True, expires_at__gt=now).exists(),
            scheduled=not late or self._scheduled(),
            watched=late and Instance.objects.active().exists(),
            pulses=dict(Pulse.objects.values_list("name", "at")),
            crowded_since=self._crowded_since,
            waiting_since=oldest_waiting(),
            unheard=nobody_is_told(),
            unseen=self._unseen,
        )


def last_swept_at() -> datetime | None:
    """When the last sweep that looked at everything was through."""
    finished = Sweep.objects.filter(state="finished").order_by("-started_at")
    return finished.values_list("finished_at", flat=True).first()
