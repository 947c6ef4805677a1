"""Whether dockmgr itself still works, judged from the traces its parts leave: pure decisions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

SILENCE = timedelta(seconds=60)  # how long a part may show nothing, and a queue may be too long
START = timedelta(seconds=30)  # what a start after a pause may take until a sweep is through
MARGIN = timedelta(seconds=2)
LEAST_CROWD = 1000
ORDER_AGE = timedelta(minutes=5)  # how long an order may wait until somebody begins it
STRANGER_FOR = timedelta(minutes=5)  # how long others' messages are told of after the last one
STRANGER = "another installation"  # what their last one is known by among the signs of life
MESSAGE_LENGTH = 255


class Part(StrEnum):
    """What may be gone."""

    SWEEPS = "sweeps"
    SCHEDULE = "schedule"
    BEAT = "beat"
    CLOCKWORK = "clockwork"
    QUEUES = "queues"
    CHECKS_SERVED = "queue:health"
    CHANGES_SERVED = "queue:operations"
    MESSAGES_SERVED = "queue:notifications"
    ORDERS = "orders"
    CHANNELS = "channels"
    LOOKS = "looks"
    BROKER = "broker"


# Without these nothing is looked at, or nothing is healed: they are missed even if they never were there.
NEEDED = (Part.CHECKS_SERVED, Part.CHANGES_SERVED)

SENTENCES = {
    Part.SWEEPS: "No sweep has finished for two intervals: look at beat, the workers and the broker.",
    Part.SCHEDULE: "Beat has no enabled schedule for sweeps: look at the periodic task of dockmgr.sweep.",
    Part.BEAT: "Beat shows no sign of life: is it running?",
    Part.CLOCKWORK: "No worker does the clockwork: look at the broker and the workers.",
    Part.QUEUES: "A queue keeps growing: are there enough workers?",
    Part.CHECKS_SERVED: "No worker serves the queue health: nothing is checked.",
    Part.CHANGES_SERVED: "No worker serves the queue operations: nothing is restarted or changed.",
    Part.MESSAGES_SERVED: "No worker serves the queue notifications.",
    Part.ORDERS: "An order has waited for more than 5 minutes: look at the workers of the queue operations.",
    Part.CHANNELS: "After refusals no channel that is told of incidents is enabled: nobody is told of them.",
    Part.LOOKS: "Sweeps go on, but two in a row could not look at some instances: see the workers' log.",
    Part.BROKER: "Another dockmgr uses the same broker: give one of them a DOCKMGR_BROKER_PREFIX of its own.",
}


def queue_part(queue: str) -> str:
    """What the workers of a queue are known by among the signs of life."""
    return f"queue:{queue}"


class PartState(StrEnum):
    WELL = "well"
    GONE = "gone"
    UNCLEAR = "unclear"


@dataclass(frozen=True)
class Signs:
    """What one process knows at one moment.

    `up_since` is when the process began to watch, `interval` (seconds) lies between sweeps. `swept_at`
    is when the last sweep finished, `sweeping` says that somebody attends one, `watched` that there
    are active instances, `scheduled` that beat has a schedule for sweeps. `pulses` are signs of life.
    `crowded_since` says of each queue that is too long since when; None when the broker can't be asked.
    `waiting_since` is when the oldest order nobody has begun was given; `unheard` says that
    the last channel has refused. `unseen` is how many instances two sweeps in a row have not looked at.
    """

    now: datetime
    up_since: datetime
    interval: float
    swept_at: datetime | None = None
    sweeping: bool = False
    watched: bool = True
    scheduled: bool = True
    pulses: Mapping[str, datetime] = field(default_factory=dict)
    crowded_since: Mapping[str, datetime] | None = field(default_factory=dict)
    waiting_since: datetime | None = None
    unheard: bool = False
    unseen: int = 0

    @property
    def up_for(self) -> timedelta:
        return self.now - self.up_since


def judge_parts(signs: Signs) -> dict[Part, PartState]:
    """Every part: well, gone, or unclear because this process can't tell (yet)."""
    return {
        Part.SWEEPS: _sweeps(signs),
        Part.SCHEDULE: PartState.WELL if signs.scheduled else _sweeps(signs),
        Part.BEAT: _pulse(signs, Part.BEAT),
        Part.CLOCKWORK: _pulse(signs, Part.CLOCKWORK),
        Part.QUEUES: _queues(signs),
        Part.CHECKS_SERVED: _served(signs, Part.CHECKS_SERVED),
        Part.CHANGES_SERVED: _served(signs, Part.CHANGES_SERVED),
        Part.MESSAGES_SERVED: _served(signs, Part.MESSAGES_SERVED),
        Part.ORDERS: PartState.GONE if order_is_late(signs.waiting_since, signs.now) else PartState.WELL,
        Part.CHANNELS: PartState.GONE if signs.unheard else PartState.WELL,
        Part.LOOKS: PartState.GONE if signs.unseen else PartState.WELL,
        Part.BROKER: _broker(signs),
    }


def order_is_late(given_at: datetime | None, now: datetime) -> bool:
    """Whether an order has waited too long for somebody to begin it."""
    return given_at is not None and now - given_at > ORDER_AGE


def last_one_refused(refused_at: Iterable[datetime | None], by_hand_at: datetime | None) -> bool:
    """Whether the last channel that was told of incidents went by a refusal, and not by hand.

    `refused_at` has a moment for each channel that is off since it refused, None where that is not known.
    """
    moments = list(refused_at)
    if by_hand_at is None:
        return bool(moments)
    return any(moment is not None and moment >= by_hand_at for moment in moments)


def overdue(swept_at: datetime | None, now: datetime, interval: float) -> bool:
    """Whether no sweep has finished for two intervals (seconds)."""
    return swept_at is None or now - swept_at > _two(interval)


def _two(interval: float) -> timedelta:
    return timedelta(seconds=2 * interval) + MARGIN


def _sweeps(signs: Signs) -> PartState:
    if signs.sweeping or not signs.watched or not overdue(signs.swept_at, signs.now, signs.interval):
        return PartState.WELL
    if signs.swept_at is None:
        began = signs.up_for > max(_two(signs.interval), START)
    else:
        long_up = signs.up_for >= max(timedelta(seconds=signs.interval), START)
        began = signs.swept_at >= signs.up_since or long_up
    return PartState.GONE if began else PartState.UNCLEAR


def _pulse(signs: Signs, part: Part) -> PartState:
    last = signs.pulses.get(part)
    if last is None or abs(signs.now - last) <= SILENCE:
        return PartState.WELL
    return PartState.GONE if signs.up_for > SILENCE else PartState.UNCLEAR


def _served(signs: Signs, part: Part) -> PartState:
    """Workers can't take part in anything without a broker, which is told as such."""
    if part in NEEDED and part not in signs.pulses:
        found = PartState.GONE if signs.up_for > SILENCE else PartState.UNCLEAR
    else:
        found = _pulse(signs, part)
    without_broker = signs.crowded_since is None and found is PartState.GONE
    return PartState.UNCLEAR if without_broker else found


def _broker(signs: Signs) -> PartState:
    last = signs.pulses.get(STRANGER)
    return PartState.GONE if last is not None and abs(signs.now - last) <= STRANGER_FOR else PartState.WELL


def _queues(signs: Signs) -> PartState:
    if not signs.crowded_since:
        return PartState.UNCLEAR if signs.crowded_since is None else PartState.WELL
    longest = signs.now - min(signs.crowded_since.values())
    return PartState.GONE if longest >= SILENCE else PartState.UNCLEAR


def crowd(active: int) -> int:
    """More messages than this in one queue are too many for a fleet of `active` instances."""
    return max(LEAST_CROWD, 2 * active)


def gone(findings: Mapping[Part, PartState], known: Iterable[str]) -> list[Part]:
    """The parts to report: those that are gone, and the known ones of which nothing better is clear."""
    known = set(known)
    return [
        part
        for part, finding in findings.items()
        if finding is PartState.GONE or (finding is PartState.UNCLEAR and part in known)
    ]


def cause(parts: Iterable[Part]) -> str:
    """The parts in one short text."""
    return ",".join(parts)


def parts_of(text: str) -> list[str]:
    """The parts a cause names."""
    return text.split(",") if text else []


def describe(parts: Iterable[Part]) -> str:
    """What is gone and what to look at, in no more than an incident's message holds."""
    parts = list(parts)
    text = " ".join(SENTENCES[part] for part in parts)
    return text if len(text) <= MESSAGE_LENGTH else f"Parts of dockmgr are gone: {', '.join(parts)}."
