"""What becomes of a host's incidents when its engine was asked: opened, gone on with, let go of."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Max, Q, QuerySet, Value
from django.db.models.functions import Coalesce

from instances.containers.facts import short_id
from instances.db.locks import lock_in_order, locked
from instances.incidents import lifecycle
from instances.incidents.hosts import WAVE, lingers, open_on_hosts
from instances.incidents.lifecycle import Alarm
from instances.incidents.rules import host_key, is_wave_key, wave_key
from instances.incidents.writer import IncidentWriter
from instances.models import Health, Host, HostWatch, Incident, Instance
from instances.monitoring import host_rules
from instances.monitoring.alarms import note_flapping, raise_alarm
from instances.monitoring.host_answers import Answer
from instances.monitoring.host_rules import (
    HostFacts,
    HostRules,
    HostStep,
    OpenIncident,
    PingRecord,
    Traits,
    Trouble,
)


def rules() -> HostRules:
    """The installation's numbers."""
    return HostRules(
        ask_interval=settings.HOST_ASK_INTERVAL,
        wave_window=settings.WAVE_WINDOW,
        wave_least=settings.WAVE_LEAST,
        wave_percent=settings.WAVE_PERCENT,
    )


@dataclass(frozen=True)
class Judged:
    """Whether the engine is to be asked again soon, and whether its host's incident may be open in vain."""

    soon: bool
    in_vain: bool


@dataclass(frozen=True)
class _Open:
    """A host's open incidents: its own, and that of a wave which began while its own only lingered."""

    own: Incident | None = None
    wave: Incident | None = None

    @classmethod
    def of(cls, host: Host) -> _Open:
        found = {is_wave_key(incident.key): incident for incident in open_on_hosts().filter(host=host)}
        return cls(own=found.get(False), wave=found.get(True))

    @property
    def in_vain(self) -> bool:
        """Whether its own may be open because it flaps alone, or a wave is told beside it."""
        return self.wave is not None or (self.own is not None and self.own.flapping)

    @property
    def waves_apart(self) -> bool:
        """Whether a wave is no matter of the host's own incident."""
        own = self.own
        return self.wave is not None or (own is not None and own.cause != WAVE and lingers(own))

    @property
    def well_since(self) -> datetime | None:
        """Since when the trouble of its own incident has passed, where that is open because it flaps."""
        if self.own is None or not self.own.flapping or self.own.resolve_at is None:
            return None
        return self.own.resolve_at - timedelta(seconds=settings.FLAPPING_CLEAN)


@dataclass(frozen=True)
class _Case:
    """A host as it was found at a moment, by failures after `begins`; `key` is that of the incident."""

    host: Host
    key: str
    found: HostFacts
    begins: datetime
    now: datetime


def judge_host(host: Host, asked: PingRecord, answer: Answer, now: datetime) -> Judged:
    """Do what the answer calls for. Call it in the transaction that holds the host's row."""
    known = _Open.of(host)
    begins = _wave_begins(host, known.own, now)
    found = replace(_found(host, asked, begins), distrust=answer.distrust, misconfigured=answer.misconfigured)
    alone = replace(found, failed=0) if known.waves_apart else found
    is_open = _act(_Case(host, host_key(host.name), alone, begins, now), known.own)
    is_open = is_open or known.wave is not None
    return Judged(host_rules.ask_soon(found, is_open), known.in_vain)


@transaction.atomic
def judge_wave(host_id: int, now: datetime) -> None:
    """Have a wave told and healed as such though the host's own incident is open, where that is in vain.

    A transaction of its own: it holds one incident at a time.
    """
    host = locked(Host.objects.filter(pk=host_id)).first()
    if host is None:
        return
    known = _Open.of(host)
    settles = _settling(now).filter(host=host).exclude(cause=WAVE).exists()
    if not (known.waves_apart or settles):
        return
    failures = HostWatch.objects.values_list("failures", flat=True).get(host=host)
    if failures and known.wave is None:
        return
    begins = _wave_begins(host, known.wave, now)
    if known.well_since is not None:  # failures of before are its own; those of its grace nobody has told
        begins = known.well_since if settles else max(begins, known.well_since)
    asked = PingRecord(failures=min(failures, 1))  # its engine's trouble is its own incident's
    _act(_Case(host, wave_key(host.name), _found(host, asked, begins), begins, now), known.wave)


def let_go_of_flapping(host_id: int, now: datetime) -> None:
    """After the usual grace a host that flaps holds nothing back, though its incident stays open."""
    for key in _settling(now).filter(host=host_id).values_list("pk", flat=True):
        settled = _settle(key, now)
        if settled is not None:
            lifecycle.wake(settled, now)


def _settling(now: datetime) -> QuerySet[Incident]:
    """Incidents of hosts that flap and hold others back, though the usual grace is over."""
    own_alone = timedelta(seconds=max(0.0, settings.FLAPPING_CLEAN - settings.HOST_GRACE))
    return open_on_hosts().filter(flapping=True, down_since__isnull=False, resolve_at__lte=now + own_alone)


@transaction.atomic
def _settle(key: int, now: datetime) -> Incident | None:
    incident = locked(_settling(now).filter(pk=key)).first()
    if incident is not None:
        writer = IncidentWriter(now)
        writer.ended(incident)
        writer.save()
    return incident


def _wave_begins(host: Host, incident: Incident | None, now: datetime) -> datetime:
    """From when on failures may be a wave. Incidents that are over are read only where some failed lately."""
    begins = host_rules.wave_begins(now, None, rules())
    if incident is not None or not _of(host).filter(health__noticed_at__gt=begins).exists():
        return begins
    told = Incident.objects.filter(kind="host", host=host, resolved_at__gt=begins)
    return host_rules.wave_begins(now, told.aggregate(last=Max("resolved_at"))["last"], rules())


def _of(host: Host) -> QuerySet[Instance]:
    return Instance.objects.active().filter(host=host)


def _found(host: Host, asked: PingRecord, begins: datetime) -> HostFacts:
    counts = _of(host).aggregate(
        active=Count("pk"), failed=Count("pk", filter=Q(health__noticed_at__gt=begins))
    )
    return HostFacts(asked, counts["active"], counts["failed"])


def _in_common(host: Host, begins: datetime) -> dict[str, str]:
    """What the instances of a wave share that the others of the host do not."""
    groups: tuple[list[Traits], list[Traits]] = ([], [])
    rows = _of(host).values_list(
        "health__noticed_at", "health__reason", "image", "plan__image", "image_id", "plan__name",
        "health__version",
    )  # fmt: skip
    for noticed, reason, own, of_plan, image_id, plan, version in rows:
        fails = noticed is not None and noticed > begins
        image = f"{own or of_plan} ({short_id(image_id)})"
        traits = {"reason": reason if fails else "", "image": image, "plan": plan, "version": version}
        groups[not fails].append(traits)
    return host_rules.in_common(*groups)


def _act(case: _Case, incident: Incident | None) -> bool:
    """Open, go on with or begin to end the incident; returns whether there is one now.

    One that was resolved after it was read is none.
    """
    present = OpenIncident(incident.cause, incident.resolve_at is not None) if incident else None
    step = host_rules.next_step(case.found, present, rules())
    if step is HostStep.OPEN:
        _open(case)
        return True
    goes_on = incident is not None
    if incident is not None and step is HostStep.GRACE:
        goes_on = _begin_grace(incident, case)
    elif incident is not None and step is HostStep.RELAPSE:
        goes_on = _relapse(incident, case.now)
    return goes_on or (incident is not None and _act(case, None))


def _open(case: _Case) -> None:
    host, now, trouble = case.host, case.now, host_rules.trouble_of(case.found, rules())
    if trouble is None:
        return
    shared = _in_common(host, case.begins) if trouble is Trouble.WAVE else None
    window = round((now - case.begins).total_seconds())
    counted = replace(rules(), wave_window=max(window, settings.WAVE_WINDOW))
    message = host_rules.describe(trouble, host.name, case.found, counted, shared)
    raise_alarm(Alarm(case.key, "host", trouble.value, message, host=host), now)
    note_flapping(open_on_hosts().filter(host=host), now)


def _relapse(incident: Incident, now: datetime) -> bool:
    """Returns whether the incident is still open."""
    in_trouble = {"resolve_at": None, "down_since": Coalesce("down_since", Value(now))}
    if not Incident.objects.filter(pk=incident.pk, resolved_at=None).update(**in_trouble):
        return False
    lifecycle.add_event(incident, "relapse", "in trouble again before the grace was over", now)
    return True


def _begin_grace(incident: Incident, case: _Case) -> bool:
    """The trouble has passed: all instances are looked at anew before anybody is told how many are left.

    Returns whether the incident is still open.
    """
    least = settings.FLAPPING_CLEAN if incident.flapping else 0
    seconds, now = max(least, settings.HOST_GRACE), case.now
    there = lock_in_order(Health.objects.filter(instance__in=_of(case.host)))
    Health.objects.filter(pk__in=there).update(next_check_at=now)
    still_open = Incident.objects.filter(pk=incident.pk, resolved_at=None)
    if not still_open.update(resolve_at=now + timedelta(seconds=seconds)):
        return False
    lifecycle.add_event(incident, "grace", f"the trouble has passed; {seconds:g} s of grace", now)
    return True
