"""Asking engines, each once a minute and suspected ones more often, and what follows for hosts' incidents."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cache

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet

from instances.db.locks import lock_in_order, locked
from instances.db.moments import ahead, reached
from instances.errors import AnotherEngine
from instances.incidents.hosts import engines_out_of_reach, suspect, unsettled_hosts
from instances.lib.clock import known
from instances.models import Host, HostWatch, Instance
from instances.monitoring import host_rules
from instances.monitoring.certificates import judge_certificates
from instances.monitoring.host_answers import AT_ONCE, Answer, ask_engines
from instances.monitoring.host_incidents import judge_host, judge_wave, let_go_of_flapping
from instances.monitoring.host_rules import PingRecord, Trouble
from instances.outside import Outside, bare_address, keep_engine_id

LONGEST_PAUSE = timedelta(minutes=5)  # between two questions


def ask_due(outside: Outside, by: datetime | None = None) -> int:
    """Ask the engines of hosts due now, or due `by` then, and judge those hosts; returns how many were asked.

    Every host in use is due once in DOCKMGR_HOST_INTERVAL, whether or not anything fails there.

    Takes as long as the slowest engine, at most DOCKMGR_ENGINE_TIMEOUT for each step of connecting
    and answering. Safe in any number of processes: each due host is asked by one of them.
    """
    _begin_watching(outside.clock.now())
    watches = _claim(outside.clock.now(), by or outside.clock.now())
    for watch, answer in zip(watches, ask_engines([watch.host for watch in watches], outside), strict=True):
        if not answer.unasked and _conclude(watch, answer, outside.clock.now()):
            judge_wave(watch.host_id, outside.clock.now())
            let_go_of_flapping(watch.host_id, outside.clock.now())
    return len(watches)


def ask_before_looking(outside: Outside) -> None:
    """Ask all engines that are due, and those known to be out of reach at once: one may be back."""
    dark = engines_out_of_reach()
    if dark:
        with transaction.atomic():
            watched = lock_in_order(HostWatch.objects.filter(host__in=dark))
            HostWatch.objects.filter(pk__in=watched).update(ask_at=outside.clock.now(), asked_at=None)
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
    suspected = reached("ask_at", now, _longest_wait()) & before_its_turn
    doubtful = HostWatch.objects.filter(
        suspected | Q(ask_at__isnull=False, failures__gt=0), host__in=in_use()
    )
    return doubtful.exclude(host__incidents__in=unsettled_hosts()).exists()


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
    waited = Q(ask_at__lte=by) | ahead("ask_at", now + _longest_wait())
    return HostWatch.objects.filter(rested, waited, host__in=in_use())


def _while_asked() -> timedelta:
    """How long whoever asks an engine may take, until it is asked anew."""
    return timedelta(seconds=settings.HOST_ASK_INTERVAL + 2 * settings.ENGINE_TIMEOUT)


def _longest_wait() -> timedelta:
    """No question is put off for longer."""
    return max(LONGEST_PAUSE, _while_asked())


def _claim(now: datetime, by: datetime) -> list[HostWatch]:
    """Take those due `by` then; if this process dies, they are due again when an answer would have come."""
    due = _due(by, now)
    if not due.exists():
        return []
    again = now + _while_asked()
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
def _conclude(watch: HostWatch, answer: Answer, now: datetime) -> bool:
    """Write down what asking showed, and do what it calls for. Restarts of the host wait meanwhile.

    Returns whether its own incident may be open in vain.
    """
    host = locked(Host.objects.filter(pk=watch.host_id)).first()
    row = HostWatch.objects.filter(pk=watch.pk).first()
    if host is None or row is None or bare_address(host) != bare_address(watch.host):
        return False  # It was removed while it was asked, as those are that do not answer, or has moved.
    if row.asked_at != watch.asked_at or row.asked_at is None:
        return False  # Somebody asked after us, and knows better.
    answer = _learnt(host, answer)
    error = answer.error
    before = PingRecord(row.failures, known(row.failing_since, now), row.asked_at, row.error)
    asked = host_rules.after_asking(before, row.asked_at, error)
    judged = judge_host(host, asked, answer, now)
    if not error:  # after the rows of health: what ends here wakes the incidents of the instances
        judge_certificates(host, answer.certificates, now)
    pause = settings.HOST_ASK_INTERVAL if judged.soon else settings.HOST_INTERVAL
    HostWatch.objects.filter(pk=row.pk).update(
        ask_at=row.asked_at + timedelta(seconds=pause),
        answered_at=row.answered_at if error else now,
        failing_since=asked.failing_since,
        failures=asked.failures,
        error=error,
    )
    return judged.in_vain
