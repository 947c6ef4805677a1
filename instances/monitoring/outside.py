"""Asking each customer's public address on a rota, as customers do; nothing is ever restarted for it."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet

from instances.checks.asking import probed_publicly, public_url
from instances.db.locks import lock_in_order, locked
from instances.db.moments import ahead
from instances.db.write_back import write_back
from instances.health.diagnosis import Fault, ProbeView, diagnose
from instances.health.response import PROBER, Outcome, sentence
from instances.http.probe import ProbeResult
from instances.incidents.rules import Availability
from instances.lib.clock import is_due
from instances.models import Instance, OutsideCheck, OutsideTransition
from instances.monitoring.outside_judge import judge, judge_certificates
from instances.monitoring.outside_rules import host_of, inside_view, next_look, zone_of
from instances.outside import Outside

logger = logging.getLogger(__name__)

AT_ONCE = 32  # addresses that a process asks at the same time
JUDGE_EVERY = timedelta(seconds=10)
CERTIFY_EVERY = timedelta(minutes=1)
LONGEST_URL, LONGEST_ZONE = 600, 253
WRITTEN = (
    "next_at", "asked_at", "url", "outcome", "fault", "error", "http_status", "latency_ms", "failures",
    "failing_since", "proxy", "zone", "certificate", "certificate_begins", "certificate_ends",
)  # fmt: skip
_SEEN = {Outcome.OK: Availability.UP, Outcome.FAIL: Availability.DOWN}


@dataclass(frozen=True)
class AddressCheck:
    """What was seen at one instance's address."""

    instance: Instance
    url: str
    result: ProbeResult


def asked() -> QuerySet[Instance]:
    """Instances that have a public address and are looked after."""
    return Instance.objects.active().filter(expires_at=None).exclude(plan__public_url="")


class Rota:
    """Asks whose turn it is, a portion a turn. Any number of processes may call `turn` again and again."""

    def __init__(self, outside: Outside, every: timedelta) -> None:
        self._outside, self._every = outside, every
        self._added_at: datetime | None = None
        self._judged_at: datetime | None = None
        self._certified_at: datetime | None = None

    def turn(self) -> None:
        """Ask one portion, and tell of what is wrong."""
        now = self._outside.clock.now()
        if is_due(self._added_at, min(self._every, timedelta(minutes=1)), now):
            add_rows(now, self._every)
            self._added_at = now
        due = take_due(now)
        if due:
            with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="outside") as pool:
                looks = list(pool.map(partial(look_at, outside=self._outside), due))
            write(looks, self._outside.clock.now(), self._every, asked_at=now)
        now = self._outside.clock.now()
        if is_due(self._judged_at, JUDGE_EVERY, now):
            self._judged_at = now
            hurry(judge(asked(), now), now)
        if is_due(self._certified_at, CERTIFY_EVERY, now):
            self._certified_at = now
            judge_certificates(asked(), now)


def add_rows(now: datetime, every: timedelta) -> None:
    """Have a row for each address, with first looks that lie evenly in the interval; none for others."""
    OutsideCheck.objects.exclude(instance__in=asked()).delete()
    new = list(asked().filter(outside=None).order_by("pk").values_list("pk", flat=True))
    step = every / max(1, len(new))
    rows = [OutsideCheck(instance_id=pk, next_at=now + number * step) for number, pk in enumerate(new)]
    OutsideCheck.objects.bulk_create(rows, ignore_conflicts=True, batch_size=500)


def take_due(now: datetime) -> list[Instance]:
    """Take those whose turn it has been for longest; nobody else gets them while they are asked."""
    while_asked = now + timedelta(seconds=settings.PROBE_TIMEOUT) * 4
    latest = max(while_asked, now + timedelta(seconds=settings.OUTSIDE_INTERVAL))
    due = Q(next_at__lte=now) | ahead("next_at", latest)
    with transaction.atomic():
        rows = locked(OutsideCheck.objects.filter(due, instance__in=asked()), skip_locked=True)
        ids = [row.pk for row in rows.order_by("next_at", "pk")[:AT_ONCE]]
        OutsideCheck.objects.filter(pk__in=ids).update(next_at=while_asked)
    taken = Instance.objects.filter(pk__in=ids).without_secrets()
    return list(taken.select_related("plan", "host", "health"))


def look_at(instance: Instance, outside: Outside) -> AddressCheck:
    """Ask one address as its customers do. Reads no database; never raises for what its plan says."""
    url = instance.access_url.rstrip("/")
    try:
        url = public_url(url, instance.plan)
        public_only = not settings.OUTSIDE_PRIVATE
        result = probed_publicly(url, instance.plan, outside, settings.PROBE_TIMEOUT, public_only=public_only)
    except Exception as error:  # it would cost all others of the portion their turn, again and again
        logger.error("Asking the public address of %s failed: %s", instance.customer_id, type(error).__name__)
        result = ProbeResult(Outcome.UNKNOWN, PROBER, None, 0, None, sentence(PROBER), places=())
    return AddressCheck(instance, url, result)


def write(looks: Sequence[AddressCheck], now: datetime, every: timedelta, *, asked_at: datetime) -> None:
    """Write down what was seen, and from when on customers were up or down.

    Nothing of those whom somebody else has looked at since these were `asked_at`.
    """
    by_id = {look.instance.pk: look for look in looks}
    older = Q(asked_at=None) | Q(asked_at__lte=asked_at) | ahead("asked_at", now)
    with transaction.atomic():
        rows = list(locked(OutsideCheck.objects.filter(older, pk__in=by_id)).order_by("pk"))
        moved = [found for row in rows if (found := _advance(row, by_id[row.pk], now, every))]
        written = OutsideTransition.objects.filter(instance__in=[change.instance_id for change in moved])
        written.filter(ahead("at", now)).delete()  # by a clock that ran fast: it would come after this
        OutsideTransition.objects.bulk_create(moved)
        write_back(rows, WRITTEN)


def _advance(
    row: OutsideCheck, look: AddressCheck, now: datetime, every: timedelta
) -> OutsideTransition | None:
    before, result = row.outcome, as_customers_see(look.result)
    health = look.instance.health
    inside = inside_view(health.status, health.reason, health.error)
    outside = ProbeView(result.outcome, result.reason, result.http_status, result.error)
    diagnosis = diagnose(inside, outside, look.url)
    failed = result.outcome is Outcome.FAIL
    row.failing_since = (row.failing_since or now) if failed else None
    row.failures = row.failures + 1 if failed else 0
    row.next_at, row.asked_at, row.url = now + next_look(row.failures, every), now, look.url[:LONGEST_URL]
    row.outcome, row.http_status, row.latency_ms = result.outcome.value, result.http_status, result.latency_ms
    row.fault, row.error = (diagnosis.fault.value, diagnosis.message) if failed else ("", "")
    row.zone = zone_of(host_of(look.url))[-LONGEST_ZONE:]
    row.proxy = " ".join(result.places) if result.places else row.proxy
    if result.certificate is not None:
        row.certificate = result.certificate.fingerprint
        row.certificate_begins, row.certificate_ends = result.certificate.begins, result.certificate.ends
    if before == row.outcome:
        return None
    seen = _SEEN.get(result.outcome, Availability.UNKNOWN).value
    return OutsideTransition(instance_id=row.pk, at=now, availability=seen)


def as_customers_see(result: ProbeResult) -> ProbeResult:
    """A name that can't be looked up is down for customers, whatever the reason it can't.

    Where it is our own resolver, no address gets through, which is told as that.
    """
    if result.outcome is Outcome.UNKNOWN and result.reason == PROBER and result.places is None:
        error = f"{sentence(Fault.DNS.value)[:-1]}, or its name servers do not answer."
        return ProbeResult(Outcome.FAIL, Fault.DNS.value, None, result.latency_ms, None, error, None)
    return result


def hurry(instance_ids: Iterable[int], now: datetime) -> None:
    """Ask these next."""
    waiting = OutsideCheck.objects.filter(pk__in=list(instance_ids), next_at__gt=now)
    with transaction.atomic():
        OutsideCheck.objects.filter(pk__in=lock_in_order(waiting)).update(next_at=now)
