"""Asking engines, each once a minute and suspected ones more often, and what follows for hosts' incidents."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Exists, F, Max, OuterRef, Q, QuerySet

from instances.containers.facts import short_id
from instances.db.locks import lock_in_order, locked
from instances.db.moments import ahead, reached
from instances.errors import AnotherEngine
from instances.incidents import lifecycle
from instances.incidents.hosts import engines_out_of_reach, open_on_hosts, suspect
from instances.incidents.rules import host_key
from instances.lib.clock import known
from instances.models import Health, Host, HostWatch, Incident, Instance
from instances.monitoring import host_rules
from instances.monitoring.alarms import note_flapping, raise_alarm
from instances.monitoring.certificates import judge_certificates
from instances.monitoring.host_answers import AT_ONCE, Answer, ask_engines
from instances.monitoring.host_rules import (
    HostFacts,
    HostRules,
    HostStep,
    OpenIncident,
    PingRecord,
    Traits,
    Trouble,
)
from instances.outside import Outside, bare_address, keep_engine_id

LONGEST_WAIT = timedelta(minutes=5)  # no question is put off for longer


def rules() -> HostRules:
    """The installation's numbers."""
    return HostRules(
        ask_interval=settings.HOST_ASK_INTERVAL,
        wave_window=settings.WAVE_WINDOW,
        wave_least=settings.WAVE_LEAST,
        wave_percent=settings.WAVE_PERCENT,
    )


def ask_due(outside: Outside, by: datetime | None = None) -> int:
    """Ask the engines of hosts due now, or due `by` then, and judge those hosts; returns how many were asked.

    Every host in use is due once in DOCKMGR_HOST_INTERVAL, whether or not anything fails there.

    Takes as long as the slowest engine, at most DOCKMGR_ENGINE_TIMEOUT for each step of connecting
    and answering. Safe in any number of processes: each due host is asked by one of them.
    """
    _begin_watching(outside.clock.now())
    watches = _claim(outside.clock.now(), by or outside.clock.now())
    for watch, answer in zip(watches, ask_engines([watch.host for watch in watches], outside), strict=True):
        if not answer.unasked:
            _conclude(watch, answer, outside.clock.now())
    return len(watches)


def ask_before_looking(outside: Outside) -> None:
    """Ask all engines that are due, and those known to be out of reach at once: one may be back."""
    dark = engines_out_of_reach()
    if dark:
        now = outside.clock.now()
        suspect(dark, now)
        with transaction.atomic():
            watched = lock_in_order(HostWatch.objects.filter(host__in=dark))
            HostWatch.objects.filter(pk__in=watched).update(ask_at=now, asked_at=None)
    began = outside.clock.now()
    while ask_due(outside, began):  # a part at a time; whose turn comes meanwhile is left to the watch
        pass


def in_doubt(now: datetime) -> bool:
    """Whether a host is suspected and asking its engine has not yet shown what to think of it.

    A host that is due only because it was last asked an interval ago is not suspected: in a large fleet some
    host always is.
    """
    in_turn = F("asked_at") + timedelta(seconds=settings.HOST_INTERVAL)
    before_its_turn = Q(asked_at=None) | Q(ask_at__lt=in_turn)
    suspected = reached("ask_at", now, LONGEST_WAIT) & before_its_turn
    doubtful = HostWatch.objects.filter(
        suspected | Q(ask_at__isnull=False, failures__gt=0), host__in=in_use()
    )
    return doubtful.exclude(host__incidents__in=open_on_hosts()).exists()


def in_use() -> QuerySet[Host]:
    """Hosts with customers, and those somebody gave an address: the first one comes by itself.

    Customers are looked for where there is no address, so that a turn costs the same in a large fleet.
    """
    return _in_use().all()


@cache  # the question, which each turn puts several times, and not the rows
def _in_use() -> QuerySet[Host]:
    customers = Instance.objects.active().filter(host=OuterRef("pk"))
    return Host.objects.filter(~Q(docker_url="") | Exists(customers))


def _begin_watching(now: datetime) -> None:
    """Hosts nobody has asked yet are asked from now on."""
    new = in_use().filter(Q(watch=None) | Q(watch__ask_at=None)).values_list("pk", flat=True)
    if new:
        suspect(new, now)


def _due(by: datetime, now: datetime) -> QuerySet[HostWatch]:
    """Due `by` then. What nobody can have written is judged by the present: asking many takes its time."""
    latest = by - timedelta(seconds=settings.HOST_ASK_INTERVAL)
    rested = Q(asked_at=None) | Q(asked_at__lte=latest) | ahead("asked_at", now)
    waited = Q(ask_at__lte=by) | ahead("ask_at", now + LONGEST_WAIT)
    return HostWatch.objects.filter(rested, waited, host__in=in_use())


def _claim(now: datetime, by: datetime) -> list[HostWatch]:
    """Take those due `by` then; if this process dies, they are due again when an answer would have come."""
    due = _due(by, now)
    if not due.exists():
        return []
    again = now + timedelta(seconds=settings.HOST_ASK_INTERVAL + 2 * settings.ENGINE_TIMEOUT)
    with transaction.atomic():
        free = locked(due, skip_locked=True).select_related("host")
        watches = list(free.order_by("ask_at")[:AT_ONCE])
        HostWatch.objects.filter(pk__in=[w.pk for w in watches]).update(asked_at=now, ask_at=again)
    for watch in watches:
        watch.asked_at = now
    return watches


def _learnt(host: Host, answer: Answer) -> Answer:
    """The answer, unless it is one of an engine that is another host's."""
    try:
        keep_engine_id(host, answer.engine_id)
    except AnotherEngine as error:
        return Answer(error=str(error), distrust=Trouble.ANOTHER_ENGINE)
    return answer


@transaction.atomic
def _conclude(watch: HostWatch, answer: Answer, now: datetime) -> None:
    """Write down what asking showed, and do what it calls for. Restarts of the host wait meanwhile."""
    host = locked(Host.objects.filter(pk=watch.host_id)).first()
    row = HostWatch.objects.filter(pk=watch.pk).first()
    if host is None or row is None or bare_address(host) != bare_address(watch.host):
        return  # It was removed while it was asked, as those are that do not answer any more, or has moved.
    if row.asked_at != watch.asked_at or row.asked_at is None:
        return  # Somebody asked after us, and knows better.
    answer = _learnt(host, answer)
    error = answer.error
    before = PingRecord(row.failures, known(row.failing_since, now), row.asked_at, row.error)
    asked = host_rules.after_asking(before, row.asked_at, error)
    incident = open_on_hosts().filter(host=host).first()
    begins = _wave_begins(host, incident, now)
    found = replace(_found(host, asked, begins), distrust=answer.distrust, misconfigured=answer.misconfigured)
    is_open = _act(host, found, incident, begins, now)
    if not error:  # after the rows of health: what ends here wakes the incidents of the instances
        judge_certificates(host, answer.certificates, now)
    soon = host_rules.ask_soon(found, is_open)
    pause = settings.HOST_ASK_INTERVAL if soon else settings.HOST_INTERVAL
    HostWatch.objects.filter(pk=row.pk).update(
        ask_at=row.asked_at + timedelta(seconds=pause),
        answered_at=row.answered_at if error else now,
        failing_since=asked.failing_since,
        failures=asked.failures,
        error=error,
    )


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


def _act(host: Host, found: HostFacts, incident: Incident | None, begins: datetime, now: datetime) -> bool:
    """Open, go on with or begin to end the host's open incident; returns whether there is one now.

    One that was resolved after it was read is none.
    """
    present = OpenIncident(incident.cause, incident.resolve_at is not None) if incident else None
    step = host_rules.next_step(found, present, rules())
    trouble = host_rules.trouble_of(found, rules())
    if step is HostStep.OPEN and trouble is not None:
        shared = _in_common(host, begins) if trouble is Trouble.WAVE else None
        message = host_rules.describe(trouble, host.name, found, rules(), shared)
        raise_alarm(host_key(host.name), "host", trouble.value, message, now, host=host)
        note_flapping(open_on_hosts().filter(host=host), now)
        return True
    goes_on = incident is not None
    if incident is not None and step is HostStep.GRACE:
        goes_on = _begin_grace(incident, host, now)
    elif incident is not None and step is HostStep.RELAPSE:
        goes_on = _relapse(incident, now)
    return goes_on or (incident is not None and _act(host, found, None, begins, now))


def _relapse(incident: Incident, now: datetime) -> bool:
    """Returns whether the incident is still open."""
    if not Incident.objects.filter(pk=incident.pk, resolved_at=None).update(resolve_at=None):
        return False
    lifecycle.add_event(incident, "relapse", "in trouble again before the grace was over", now)
    return True


def _begin_grace(incident: Incident, host: Host, now: datetime) -> bool:
    """The trouble has passed: all instances are looked at anew before anybody is told how many are left.

    Returns whether the incident is still open.
    """
    least = settings.FLAPPING_CLEAN if incident.flapping else 0
    seconds = max(least, settings.HOST_GRACE)
    there = lock_in_order(Health.objects.filter(instance__in=_of(host)))
    Health.objects.filter(pk__in=there).update(next_check_at=now)
    still_open = Incident.objects.filter(pk=incident.pk, resolved_at=None)
    if not still_open.update(resolve_at=now + timedelta(seconds=seconds)):
        return False
    lifecycle.add_event(incident, "grace", f"the trouble has passed; {seconds:g} s of grace", now)
    return True
