"""What a channel is to be told of an incident now, and when to look again: pure decisions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from instances.alerts.quiet_hours import QuietHours
from instances.incidents.rules import (
    AGAIN,
    CERTIFICATE,
    KNOWS_TROUBLE,
    NOTHING,
    ORPHANS,
    OUTSIDE,
    TROUBLE,
    Severity,
)

LOOK_AGAIN_COVERED = timedelta(seconds=60)
LOOK_AGAIN_CHANGING = timedelta(seconds=10)

RESOLVED = "resolved"
INFO = "info"
ACKNOWLEDGED = "acknowledged"  # the kind of a message that somebody has seen it


@dataclass(frozen=True)
class Timing:
    """Seconds: the hold before an instance's first message, and between reminders by severity."""

    hold: float = 30.0
    remind_critical: float = 3600.0
    remind_warning: float = 4 * 3600.0

    def reminder(self, severity: Severity) -> timedelta:
        return timedelta(
            seconds=self.remind_critical if severity is Severity.CRITICAL else self.remind_warning
        )


@dataclass(frozen=True)
class IncidentFacts:
    """What of an incident decides what is said of it. `overdue`: critical by its length alone.

    `wait` is how long it has to last until anybody is told, where that lies in its kind.
    """

    kind: str
    severity: Severity
    confirmed_at: datetime | None = None
    resolved_at: datetime | None = None
    acknowledged_at: datetime | None = None
    restarts: int = 0
    flapping: bool = False
    overdue: bool = False
    wait: timedelta = timedelta(0)


@dataclass(frozen=True)
class Labels:
    """Where an incident is; what does not apply is empty."""

    kind: str
    host: str = ""
    plan: str = ""
    customer: str = ""


@dataclass(frozen=True)
class ChannelRules:
    """Whom a channel is for. Empty sets stand for all; with `escalate_after` it is a second line.

    One that `acknowledges` is a service with incidents of its own that can be told that one was seen.
    """

    min_level: Severity = Severity.WARNING
    hosts: frozenset[str] = frozenset()
    plans: frozenset[str] = frozenset()
    customers: frozenset[str] = frozenset()
    quiet: QuietHours | None = None
    escalate_after: float | None = None
    acknowledges: bool = False


@dataclass(frozen=True)
class LastTold:
    """What a channel was last told of an incident, when, and whether that message still waits.

    `acknowledged`: also that somebody has seen it.
    """

    state: str = ""
    at: datetime | None = None
    waiting: bool = False
    acknowledged: bool = False

    def after(self, notice: Notice, now: datetime) -> LastTold:
        """What it knows once it was told; a new stretch of trouble is nobody's yet."""
        told = notice.kind == ACKNOWLEDGED
        goes_on = self.state in TROUBLE and notice.state in TROUBLE
        return LastTold(notice.state, now, acknowledged=told or (self.acknowledged and goes_on))


@dataclass(frozen=True)
class Notice:
    """A message: its kind, its level, and what the channel knows once it was told."""

    kind: str
    state: str
    level: Severity


@dataclass(frozen=True)
class Told:
    """A message that went to a channel before."""

    kind: str
    level: str
    at: datetime

    @property
    def notice(self) -> Notice:
        ends = {RESOLVED: RESOLVED, "summary": RESOLVED, "recovered": INFO}
        return Notice(self.kind, ends.get(self.kind, self.level), Severity(self.level))


def knowledge(told: Iterable[Told]) -> LastTold:
    """What a channel knows of an incident that was told all this of it, oldest first."""
    known = LastTold()
    for message in told:
        known = known.after(message.notice, message.at)
    return known


@dataclass(frozen=True)
class Decision:
    """What to tell now, if anything, and when to look again, if ever."""

    notice: Notice | None = None
    look_at: datetime | None = None


@dataclass(frozen=True)
class Context:
    """The time, and what of what is around the incident matters.

    Nothing goes before `blocked_until`. `critical_since` is when a first line was told that it is
    critical.
    """

    now: datetime
    timing: Timing = Timing()
    blocked_until: datetime | None = None
    critical_since: datetime | None = None


def concerns(rules: ChannelRules, labels: Labels) -> bool:
    """Whether an incident there is one the channel is for."""
    if labels.kind in ("fleet", "self"):
        return True
    if labels.kind == OUTSIDE and not labels.customer and not labels.host:  # of many, anywhere
        return True
    if rules.hosts and labels.host not in rules.hosts:
        return False
    if labels.kind in ("host", CERTIFICATE, ORPHANS) or not labels.customer:
        return not rules.plans and not rules.customers
    return (not rules.plans or labels.plan in rules.plans) and (
        not rules.customers or labels.customer in rules.customers
    )


def blocked_until(
    now: datetime, *, covered: bool, muted_until: datetime | None, changing: bool
) -> datetime | None:
    """When to look again at an incident nothing may be sent for now; None when nothing is in the way.

    `covered`: a larger incident explains it. `changing`: somebody changes the instance on purpose.
    """
    moments = (
        now + LOOK_AGAIN_COVERED if covered else None,
        muted_until,
        now + LOOK_AGAIN_CHANGING if changing else None,
    )
    return max((moment for moment in moments if moment is not None), default=None)


def decide(incident: IncidentFacts, rules: ChannelRules, last_told: LastTold, context: Context) -> Decision:
    """The difference between what a channel knows and what it should know, once it may be sent."""
    upcoming = _upcoming(incident, rules, last_told, context)
    if upcoming is None:
        return Decision()
    notice, due = upcoming
    due = max(due, context.now, _refused_until(last_told) or due)
    free = _free_at(rules, notice, due, context.blocked_until)
    if free > context.now:
        return Decision(look_at=free)
    if notice.kind == "reminder" and last_told.waiting:
        return Decision(look_at=context.now + context.timing.reminder(incident.severity))
    then = _upcoming(incident, rules, last_told.after(notice, context.now), context)
    return Decision(notice, look_at=then[1] if then else None)


def _refused_until(last_told: LastTold) -> datetime | None:
    """When what its receiver refused is told again; long past where it was switched on again."""
    return last_told.at if last_told.state in (NOTHING, AGAIN) else None


def _free_at(rules: ChannelRules, notice: Notice, due: datetime, blocked_until: datetime | None) -> datetime:
    free = max(due, blocked_until) if blocked_until else due
    if rules.quiet is None or notice.level is Severity.CRITICAL or notice.kind == ACKNOWLEDGED:
        return free
    return rules.quiet.over_at(free)


def _upcoming(
    incident: IncidentFacts, rules: ChannelRules, last_told: LastTold, context: Context
) -> tuple[Notice, datetime] | None:
    """The next message for a channel and the earliest time for it, as things stand."""
    if incident.resolved_at is not None:
        return _ending(incident, rules, last_told, incident.resolved_at, context.timing)
    if incident.confirmed_at is None or incident.severity.rank < rules.min_level.rank:
        return None
    if last_told.state == incident.severity.value and last_told.at is not None:
        return _acknowledgement(incident, rules, last_told) or _reminder(
            incident, last_told.at, context.timing
        )
    if rules.escalate_after is not None:
        since = context.critical_since or incident.confirmed_at
        return _second_line(incident, since + timedelta(seconds=rules.escalate_after))
    return _trouble(incident, last_told, incident.confirmed_at, context.timing)


def _ending(
    incident: IncidentFacts, rules: ChannelRules, last_told: LastTold, resolved_at: datetime, timing: Timing
) -> tuple[Notice, datetime] | None:
    if last_told.state in KNOWS_TROUBLE:
        kind = "summary" if incident.kind == "host" else RESOLVED
        return Notice(kind, RESOLVED, Severity.INFO), resolved_at
    hears_all = rules.min_level is Severity.INFO and rules.escalate_after is None
    if last_told.state or not incident.restarts or not hears_all:
        return None
    return Notice("recovered", INFO, Severity.INFO), resolved_at + timedelta(seconds=timing.hold)


def _acknowledgement(
    incident: IncidentFacts, rules: ChannelRules, last_told: LastTold
) -> tuple[Notice, datetime] | None:
    """What was opened at a service is seen there as well, once for each stretch of trouble."""
    if incident.acknowledged_at is None or not rules.acknowledges or last_told.acknowledged:
        return None
    return Notice(ACKNOWLEDGED, incident.severity.value, incident.severity), incident.acknowledged_at


def _reminder(incident: IncidentFacts, told_at: datetime, timing: Timing) -> tuple[Notice, datetime] | None:
    if incident.acknowledged_at is not None or incident.kind == CERTIFICATE:  # for days nothing needs doing
        return None
    notice = Notice("reminder", incident.severity.value, incident.severity)
    return notice, told_at + timing.reminder(incident.severity)


def _second_line(incident: IncidentFacts, due: datetime) -> tuple[Notice, datetime] | None:
    if incident.severity is not Severity.CRITICAL or incident.acknowledged_at is not None:
        return None
    return Notice("escalated", incident.severity.value, incident.severity), due


def _trouble(
    incident: IncidentFacts, last_told: LastTold, confirmed_at: datetime, timing: Timing
) -> tuple[Notice, datetime]:
    """The first message of a stretch is held; what has lasted, is large or got worse is not."""
    rises = last_told.state in TROUBLE
    kind = "escalated" if rises else "flapping" if incident.flapping else "opened"
    notice = Notice(kind, incident.severity.value, incident.severity)
    is_held = incident.kind == "instance" and not incident.overdue
    wait = timedelta(seconds=timing.hold) if is_held else incident.wait
    return notice, confirmed_at if rises else confirmed_at + wait
