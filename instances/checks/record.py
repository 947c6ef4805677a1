"""Judging what was seen and writing it down: a list of checks, one transaction, each applied once."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import cache
from operator import attrgetter
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F
from msgspec import Struct

from instances import counters
from instances.checks.kept_rules import is_kept
from instances.checks.last_seen import ERROR_LENGTH, history_row, seen_values
from instances.checks.observe import Check
from instances.checks.policy import jitter, policy
from instances.checks.repeated import of_known_sweeps
from instances.checks.stored import Stored, read_stored
from instances.checks.swap import WRITTEN, compare_and_swap
from instances.containers.identity import RENAMED, REPLACED
from instances.db.among import among
from instances.db.locks import has_row_locks, lock_in_order
from instances.health.assess import assess, is_stale, with_the_last
from instances.health.holding import while_changed
from instances.health.response import PROBER, Outcome
from instances.health.state import Observation, Policy, State, Status, Verdict
from instances.health.trusted import trusted
from instances.incidents import hosts
from instances.incidents.findings import FindingChange, apply_findings
from instances.incidents.from_health import HealthChange, apply_health_changes
from instances.models import Health, HealthCheck, Instance, Sweep
from instances.models.health import STATE_FIELDS

logger = logging.getLogger(__name__)

Rules = Callable[[float], Policy]  # by a plan's grace in seconds

MAX_CAS_ROUNDS = 10
MADE_BEFORE = "its sweep has it already"
CHECKED = (*WRITTEN, "last_sweep")
MOVED_ON = ("checked_at", "last_healthy_at", "latency_ms", "last_sweep")  # by a check that saw what was known
_STATE = attrgetter(*STATE_FIELDS)
_STAYING = attrgetter(*(name for name in STATE_FIELDS if name not in (*MOVED_ON, "successes")))


class Recorded(Struct, frozen=True):
    """What became of a check. `verdict` is None when it was not applied, and `skipped` says why.

    A check is no news when it saw what was known. Those that are kept go into the history.
    """

    check: Check
    verdict: Verdict | None = None
    before: State = State()
    skipped: str = ""
    is_news: bool = True
    is_kept: bool = False

    @property
    def is_counted(self) -> bool:
        return self.verdict is not None or not (self.check.again or self.skipped == MADE_BEFORE)

    @property
    def seen(self) -> Observation:
        """The observation, as judged where that says more."""
        return (self.verdict.seen if self.verdict else None) or self.check.seen


def record(checks: Sequence[Check], now: datetime) -> tuple[list[Recorded], set[str]]:
    """Judge and commit checks together; returns what became of each, and the sweeps this finished.

    A check is applied only if it could be made, is newer than the last one applied and is about the same
    container. Nor is it applied while an operation cuts the customer off, or where its sweep has a check of
    the instance already. A row changed between reading and writing is read and judged again. Either all of
    this is committed or nothing is.
    """
    with transaction.atomic():
        if has_row_locks():  # what is read below is then what is replaced, and two batches wait in line
            ids = {check.request.instance_id for check in checks}
            lock_in_order(Health.objects.filter(among("pk", ids)))
        checks = of_known_sweeps(checks)
        recorded: list[Recorded] = []
        for group in _one_per_instance(checks):
            results = list(_apply(group, now))
            HealthCheck.objects.bulk_create(_history(results))
            recorded += results
        hosts.suspect(_hosts_in_question(recorded), now)
        finished = _count(recorded, now)
        counters.add(counters.CHECKS.counts(_durations(recorded)))
    _tell(recorded)
    order = {id(check): place for place, check in enumerate(checks)}
    return sorted(recorded, key=lambda r: order[id(r.check)]), finished


def _one_per_instance(checks: Sequence[Check]) -> Iterator[list[Check]]:
    """Groups in which no instance appears twice, in order."""
    left = list(checks)
    while left:
        group = {check.request.instance_id: check for check in reversed(left)}
        chosen = {id(check) for check in group.values()}
        yield list(group.values())
        left = [check for check in left if id(check) not in chosen]


def _apply(checks: list[Check], now: datetime) -> Iterator[Recorded]:
    # No row is locked while it is judged: it is written only at the revision that was read, and
    # what somebody else changed in between is read and judged anew.
    rules = cache(policy)
    for _ in range(MAX_CAS_ROUNDS):
        stored = read_stored([check.request.instance_id for check in checks], now)
        judged = [_judge(check, stored.get(check.request.instance_id), rules, now) for check in checks]
        yield from (result for result in judged if result.verdict is None)
        won = _swap([(r, stored[r.check.request.instance_id]) for r in judged if r.verdict], now)
        applied = [r for r in judged if r.verdict and r.check.request.instance_id in won]
        apply_health_changes([_change(r, r.verdict.state) for r in applied if r.verdict], policy(), now)
        apply_findings(_findings(applied, stored), now)
        yield from applied
        checks = [r.check for r in judged if r.verdict and r.check.request.instance_id not in won]
        if not checks:
            return
    yield from (Recorded(check, skipped="its row was changed all the time") for check in checks)


def _change(recorded: Recorded, after: State) -> HealthChange:
    seen = recorded.seen
    return HealthChange(
        recorded.check.request.instance_id, recorded.before, after, seen.reason, seen.error[:ERROR_LENGTH]
    )


def _findings(applied: Sequence[Recorded], stored: dict[int, Stored]) -> Iterator[FindingChange]:
    """What was found out anew about whose container it is."""
    for r in applied:
        of_instance, seen = r.check.request.instance_id, r.check.seen
        if _is_found_anew(seen.finding, stored[of_instance]):
            yield FindingChange(of_instance, seen.finding or "", seen.finding_text[:ERROR_LENGTH])


def _is_found_anew(finding: str | None, stored: Stored) -> bool:
    """Operations move containers and their names about: what is left of it is found when they are over."""
    if finding is None or finding == stored.finding:
        return False
    return not (stored.busy and finding in (RENAMED, REPLACED))


def _judge(check: Check, stored: Stored | None, rules: Rules, now: datetime) -> Recorded:
    why = _why_not(check, stored, now)
    if why or stored is None:
        return Recorded(check, skipped=why)
    by = rules(stored.start_grace)
    state = trusted(stored.state, now, by.longest_wait)
    verdict = assess(with_the_last(check.seen, stored.reason), state, by, now, jitter())
    if stored.busy:
        verdict = while_changed(state, verdict, by, now)
    is_news = _is_news(check, verdict, stored)
    kept = is_kept(
        (verdict.seen or check.seen).outcome,
        is_news=is_news,
        earlier=stored.state.checked_at,
        at=check.seen.finished_at,
        every=settings.HISTORY_EVERY,
        instance_id=check.request.instance_id,
    )
    return Recorded(check, verdict, before=stored.state, is_news=is_news, is_kept=kept)


def _is_news(check: Check, verdict: Verdict, stored: Stored) -> bool:
    """Whether a check saw anything but what was known."""
    if _is_found_anew(check.seen.finding, stored):
        return True
    seen = verdict.seen or check.seen
    was = (stored.state.status, stored.reason, stored.http_status)
    return was != (verdict.state.status, seen.reason, seen.http_status)


def _why_not(check: Check, stored: Stored | None, now: datetime) -> str:
    if stored is None or stored.gone:
        return "no longer there"
    if check.request.sweep_id and check.request.sweep_id == stored.last_sweep:
        return MADE_BEFORE
    if stored.leaving:
        return "being removed, so nobody looks after it"
    if stored.state.status is Status.PAUSED:
        return "paused"
    if stored.interrupted:
        return "being changed by an operation"
    if check.request.container_id != stored.container_id:
        return "about a container that was replaced"
    if check.seen.reason == PROBER:
        return "dockmgr itself could not look"
    return "a newer check was applied" if is_stale(check.seen, stored.state, now) else ""


def _swap(judged: list[tuple[Recorded, Stored]], now: datetime) -> set[int]:
    """Write states whose revision is still the one read; returns the instances written."""
    to_write = [(r, stored) for r, stored in judged if r.verdict]
    quiet = [(r, stored) for r, stored in to_write if _only_moves_on(r, stored)]
    known = {id(r) for r, _ in quiet}
    full = [(r, stored) for r, stored in to_write if id(r) not in known]
    written = compare_and_swap(
        [(_key(r), stored.revision, *_values(r, stored)) for r, stored in full], CHECKED
    )
    moved = [
        (_key(r), stored.revision, r.seen.finished_at, now, r.seen.latency_ms, _swept(r, stored))
        for r, stored in quiet
    ]
    return written | compare_and_swap(moved, MOVED_ON)


def _key(recorded: Recorded) -> int:
    return recorded.check.request.instance_id


def _swept(recorded: Recorded, stored: Stored) -> str | None:
    return recorded.check.request.sweep_id or stored.last_sweep


def _only_moves_on(recorded: Recorded, stored: Stored) -> bool:
    """Whether a check found one that is well as it was, so that only its times have to be written.

    How often in a row it was well does not matter any more then.
    """
    seen, before = recorded.seen, stored.state
    if recorded.is_news or seen.outcome is not Outcome.OK or recorded.verdict is None:
        return False
    is_well = before.status is Status.HEALTHY and before.down_since is None and before.successes > 0
    is_known = (seen.version or stored.version) == stored.version
    is_there = (seen.container_state or "") == stored.container_state
    return is_well and is_known and is_there and _STAYING(recorded.verdict.state) == _STAYING(before)


def _values(recorded: Recorded, stored: Stored) -> list[Any]:
    assert recorded.verdict is not None  # noqa: S101
    state, seen = recorded.verdict.state, recorded.seen
    of_instance = recorded.check.request.instance_id
    return [*_STATE(state), *seen_values(of_instance, seen, stored.version), _swept(recorded, stored)]


def _history(recorded: Sequence[Recorded]) -> list[HealthCheck]:
    told = (r for r in recorded if r.is_kept)
    return [history_row(Check(r.check.request, r.seen), r.verdict.state) for r in told if r.verdict]


def _hosts_in_question(recorded: Sequence[Recorded]) -> list[int]:
    """Hosts of instances that failed or could not be looked at: it may be the host."""
    bad = (Outcome.FAIL, Outcome.UNKNOWN)
    ids = [r.check.request.instance_id for r in recorded if r.verdict and r.seen.outcome in bad]
    return (
        list(Instance.objects.filter(pk__in=ids).values_list("host_id", flat=True).distinct()) if ids else []
    )


def _durations(recorded: Sequence[Recorded]) -> Iterator[tuple[tuple[str], float]]:
    """Outcome and seconds of every check that was applied."""
    for r in recorded:
        if r.verdict:
            yield (r.seen.outcome.value,), (r.seen.finished_at - r.seen.started_at).total_seconds()


def _tell(recorded: Sequence[Recorded]) -> None:
    """One log line for each instance whose status changed."""
    for r in recorded:
        if r.verdict and r.verdict.state.status is not r.before.status:
            after, seen, customer = r.verdict.state.status, r.seen, r.check.request.customer_id
            about = {"customer_id": customer, "sweep_id": r.check.request.sweep_id}
            change = (customer, r.before.status.value, after.value, seen.error)
            logger.info("%s: %s -> %s. %s", *change, extra=about)


def _count(recorded: Sequence[Recorded], now: datetime) -> set[str]:
    """Add to the sweeps' progress; the batch that completes a sweep finishes it.

    What came again and changed nothing may have been counted before: rather too few than too many.
    """
    finished = set()
    counted = (r.check.request.sweep_id for r in recorded if r.is_counted)
    counts = Counter(sweep_id for sweep_id in counted if sweep_id)
    for sweep_id, number in sorted(counts.items()):
        Sweep.objects.filter(pk=sweep_id).update(done=F("done") + number, progress_at=now)
        complete = Sweep.objects.filter(pk=sweep_id, state="running", attended=False, done__gte=F("total"))
        if complete.update(state="finished", finished_at=now):
            finished.add(sweep_id)
    return finished
