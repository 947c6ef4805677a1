"""From changes of health to incidents and uptime, in the transaction that changes the health."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Max, Q

from instances.db.locks import locked
from instances.db.moments import ahead
from instances.health.state import CANNOT_REMAKE, NOT_OURS, Policy, State
from instances.incidents.rules import Availability, Effect, Severity, availability, effect, instance_key
from instances.incidents.writer import IncidentWriter, deadline
from instances.models import Incident, Instance, Transition

NO_RESTARTS = "nothing is restarted automatically, as DOCKMGR_RESTART_LIMIT is 0"


@dataclass(frozen=True)
class HealthChange:
    """An instance's health before and after, and what was seen, as a code and as a sentence.

    `withdrawn`: the restart that was begun before was none.
    """

    instance_id: int
    before: State
    after: State
    cause: str = ""
    message: str = ""
    withdrawn: bool = False


@transaction.atomic(savepoint=False)
def apply_health_changes(changes: Sequence[HealthChange], rules: Policy, now: datetime) -> None:
    """Open, raise, reopen and end incidents as these changes ask for, and note up and down.

    Call it in the transaction that wrote the changes; each instance may be among them once.
    """
    Transition.objects.bulk_create(_transitions(changes, now))
    concerned = [
        (change, found) for change in changes if (found := effect(change.before, change.after, rules))
    ]
    if concerned:
        _Incidents(concerned, rules, now).run()


def _transitions(changes: Iterable[HealthChange], now: datetime) -> list[Transition]:
    moved = [c for c in changes if availability(c.before) is not availability(c.after)]
    # What a clock that ran fast has written would come after this, and hold from then on.
    Transition.objects.filter(ahead("at", now), instance__in=[c.instance_id for c in moved]).delete()
    since = _down_from({c.instance_id: c.after.down_since for c in moved if _is_down_earlier(c, now)})
    return [
        Transition(
            instance_id=c.instance_id,
            at=since.get(c.instance_id, now),
            availability=availability(c.after).value,
        )
        for c in moved
    ]


def note_interruption(instance_id: int, since: datetime, until: datetime) -> None:
    """Who was up, and is again, had nothing in between while an operation replaced the container.

    Call it in the transaction that notes how that ended.
    """
    last = Transition.objects.filter(instance=instance_id).order_by("at", "pk").last()
    if last is not None and last.at <= since < until and last.availability == Availability.UP:
        moments = ((since, Availability.UNKNOWN), (until, Availability.UP))
        Transition.objects.bulk_create(
            Transition(instance_id=instance_id, at=at, availability=is_.value) for at, is_ in moments
        )


def _is_down_earlier(change: HealthChange, now: datetime) -> bool:
    """Whether an outage begins that had begun before it was seen."""
    since = change.after.down_since
    begins = change.before.down_since is None and availability(change.after) is Availability.DOWN
    return begins and since is not None and since < now


def _down_from(begun: Mapping[int, datetime | None]) -> dict[int, datetime]:
    """From when on instances count as down: what was written down since their outage began stays."""
    if not begun:
        return {}
    known = Transition.objects.filter(instance__in=begun).order_by().values_list("instance_id")
    last = dict(known.annotate(last=Max("at")))
    return {pk: max(since, last.get(pk, since)) for pk, since in begun.items() if since}


class _Incidents:
    def __init__(self, concerned: list[tuple[HealthChange, Effect]], rules: Policy, now: datetime) -> None:
        self._concerned, self._rules, self._now = concerned, rules, now
        self._writer = IncidentWriter(now)

    def run(self) -> None:
        incidents = self._read()
        for change, found in self._concerned:
            incident = self._begin(change, found, incidents.get(change.instance_id))
            if incident is not None and incident.is_open:
                self._go_on(incident, change, found)
        self._writer.save()

    def _read(self) -> dict[int, Incident]:
        """The last incident of each instance that is open or may be reopened."""
        ids = [change.instance_id for change, _ in self._concerned]
        again = [change.instance_id for change, found in self._concerned if found.again]
        longest = timedelta(seconds=max(self._rules.reopen_within, self._rules.flapping_clean))
        begun = min((c.after.down_since or self._now for c, _ in self._concerned), default=self._now)
        recent = Q(instance__in=again, resolved_at__gte=begun - longest)
        concerned = Incident.objects.filter(Q(instance__in=ids, resolved_at=None) | recent, kind="instance")
        rows = sorted(locked(concerned).order_by("pk"), key=lambda row: (row.opened_at, row.pk))
        return {row.instance_id: row for row in rows if row.instance_id}

    def _begin(self, change: HealthChange, found: Effect, last: Incident | None) -> Incident | None:
        """The incident this change belongs to; None when the outage has none to end."""
        since = change.after.down_since
        if last is None:
            return self._open(change, since) if since else None
        if found.begins and since is not None:
            last.down_since, last.critical_at, last.well_at = since, deadline(since), _well_at(change)
            last.cause, last.message = change.cause, change.message
            self._writer.reopened(last)
        return last

    def _open(self, change: HealthChange, since: datetime) -> Incident:
        instance = Instance.objects.only("customer_id", "host_id").get(pk=change.instance_id)
        incident = Incident(
            key=instance_key(instance.customer_id),
            kind="instance",
            instance=instance,
            host_id=instance.host_id,
            customer_id=instance.customer_id,
            cause=change.cause,
            message=change.message,
            opened_at=since,
            down_since=since,
            well_at=_well_at(change),
            critical_at=deadline(since),
        )
        self._writer.opened(incident)
        return incident

    def _go_on(self, incident: Incident, change: HealthChange, found: Effect) -> None:
        writer = self._writer
        if found.flapping and not incident.flapping:
            incident.flapping = True
            writer.note(incident, "flapping", "it recovers and fails again")
        if found.moved and not found.ends:
            moved = f"{change.before.status.value} -> {change.after.status.value}"
            writer.note(incident, "status", f"{moved}. {change.message}".rstrip(". "))
        if change.withdrawn and incident.restarts:
            incident.restarts -= 1
            writer.note(incident, "restart", "none was made: the reason lay elsewhere")
        if found.restart:
            incident.restarts += 1
            writer.note(incident, "restart", _restart_text(change))
        if found.raises is not None:
            self._raise(incident, change, found.raises)
        if found.ends:
            self._end(incident, found)

    def _raise(self, incident: Incident, change: HealthChange, severity: Severity) -> None:
        if change.cause:
            incident.cause, incident.message = change.cause, change.message
        unused = change.cause in CANNOT_REMAKE | NOT_OURS
        exhausted = "automatic restarts are used up" if self._rules.restart_limit else NO_RESTARTS
        given_up = change.message if unused else exhausted
        failures = f"{change.after.failures} failures in a row"
        self._writer.raised(incident, severity, given_up if severity is Severity.CRITICAL else failures)

    def _end(self, incident: Incident, found: Effect) -> None:
        self._writer.ended(incident)
        if found.abandoned:
            self._writer.resolved(incident, "paused", abandoned=True)
        elif not incident.flapping:
            self._writer.resolved(incident, how_it_ended(incident))


def _restart_text(change: HealthChange) -> str:
    automatic = change.after.restarts_used > change.before.restarts_used
    return f"automatic, attempt {change.after.restarts_used}" if automatic else "asked for by a person"


def _well_at(change: HealthChange) -> datetime | None:
    """The last good look, where an outage may have begun at any moment since."""
    is_known = change.after.down_since != change.after.noticed_at
    return None if is_known else change.before.last_healthy_at


def how_it_ended(incident: Incident) -> str:
    """The sentence of a recovery: how long it was down, or may have been, and what was done."""
    shortest, longest = f"{incident.downtime:.0f} s", f"{incident.downtime_at_most:.0f} s"
    lasted = shortest if incident.downtime_at_most <= incident.downtime else f"up to {longest}"
    if not incident.restarts:
        return f"healthy again after {lasted}, without an automatic restart"
    times = "one restart" if incident.restarts == 1 else f"{incident.restarts} restarts"
    return f"healthy again after {times} and {lasted}"
