"""A sweep carried out in the calling process: look at all, heal what needs it, wait until settled.

`tasks/checks.py` fans the same checks out to workers and waits for nobody. This one is for
`daily_health`, whose caller wants an answer even where no worker and no broker run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from itertools import chain, islice
from queue import SimpleQueue
from uuid import UUID

from django.conf import settings
from django.db.models import Exists, F, Min, OuterRef, Q

from instances import state_file
from instances.checks import sweeps
from instances.checks.check_requests import CheckRequest, requests_in_turn
from instances.checks.dark_hosts import plan_checks
from instances.checks.due import claim_due
from instances.checks.observe import Check, observe
from instances.checks.record import Recorded, record
from instances.checks.roster import Roster
from instances.db.retry import retry_on_disconnect
from instances.db.sessions import release_session
from instances.errors import BusyError, LeaseLost
from instances.fleet.progress import Progress, silent
from instances.fleet.sweep_report import SweepReport, health_rows
from instances.health.response import PROBER
from instances.health.state import Status
from instances.incidents.hosts import left_alone
from instances.models import Health, Instance, Operation, Sweep
from instances.monitoring import clocks, heartbeat
from instances.monitoring.hosts import ask_before_looking, in_doubt
from instances.monitoring.loop import Monitor, deliver_what_is_held
from instances.operations import service
from instances.operations.journal import abandoned
from instances.operations.last_words import keep_of_death
from instances.operations.procedures import restart
from instances.operations.service import recover, run_to_end
from instances.outside import Outside

PROBE_THREADS = 32
IN_HAND = 1000
RESTART_THREADS = 8
BATCH = 100
LONGEST_HEALING = timedelta(minutes=30)
POLL_SECONDS = 0.1
LONGEST_PAUSE = 1.0  # seconds; what other processes do is noticed as soon as that
MOVING = (Status.SUSPECT, Status.UNHEALTHY, Status.STARTING, Status.RESTARTING)


def check_here(
    roster: Roster,
    outside: Outside | None = None,
    sweep_id: str | None = None,
    progress: Progress = silent,
) -> Iterator[Recorded]:
    """Probe, judge and record instances in this process, in batches as answers come in."""
    outside = outside or service.OUTSIDE
    plan = plan_checks(roster, sweep_id)
    listed = requests_in_turn(plan.usual, outside.engines, sweep_id)
    requests = chain(plan.leads, chain.from_iterable(listed))
    seen, done = chain(plan.unseen(outside.clock.now()), _observed(requests, outside)), 0
    while batch := list(islice(seen, BATCH)):
        recorded, _ = record(batch, outside.clock.now())
        done += len(batch)
        progress(done, len(roster), "checked")
        yield from recorded


def _observed(requests: Iterable[CheckRequest], outside: Outside) -> Iterator[Check]:
    """What was seen, in the order it was, while no more than some wait for their turn."""
    seen, out = SimpleQueue[Future[Check]](), 0
    with ThreadPoolExecutor(PROBE_THREADS, thread_name_prefix="probe") as pool:
        for request in requests:
            pool.submit(observe, request, outside, settings.PROBE_TIMEOUT).add_done_callback(seen.put)
            out += 1
            if out >= IN_HAND:
                yield seen.get().result()
                out -= 1
        for _ in range(out):
            yield seen.get().result()


def sweep_here(by: str, outside: Outside | None = None, progress: Progress = silent) -> SweepReport:
    """The whole sweep: check every active instance, re-check suspects, restart, wait until settled.

    Raises BusyError when another attended sweep is running; a sweep of the workers is waited for. One that is
    broken off is incomplete, and counts as none.
    """
    outside = outside or service.OUTSIDE
    began, watch = outside.clock.now(), Monitor(outside)
    clocks.judge_clock(outside.clock, began)
    recover(outside)
    sweep = _start(by, outside)
    try:
        ask_before_looking(outside)
        watch.tick()  # where nothing else runs, this is what meets deadlines
        roster = Roster.of_active()
        Sweep.objects.filter(pk=sweep.pk).update(total=len(roster))
        healing = _Healing(sweep, outside, progress, watch)
        healing.run(roster)
        sweeps.finish(sweep, outside.clock.now())
    finally:
        sweeps.break_off(sweep, outside.clock.now())
        state_file.write()
    rows = health_rows(roster)
    seconds = (outside.clock.now() - began).total_seconds()
    report = SweepReport(sweep, rows, healing.last, _restarts(rows, began), seconds)
    heartbeat.ping(settings.HEARTBEAT_URL)
    deliver_what_is_held(outside, watch)
    return report


def _start(by: str, outside: Outside) -> Sweep:
    while True:
        try:
            return sweeps.start(outside.clock.now(), settings.SWEEP_INTERVAL, by=by, attended=True)
        except BusyError:
            if not Sweep.objects.filter(state="running", attended=False).exists():
                raise
            outside.clock.sleep(POLL_SECONDS)


def _restarts(rows: Sequence[Health], since: datetime) -> list[Operation]:
    customers = {row.instance.customer_id for row in rows}
    made = Operation.objects.filter(kind="restart", automatic=True, created_at__gte=since)
    return [operation for operation in made.order_by("created_at") if operation.customer_id in customers]


class _Healing:
    """Re-checks and restarts until every instance of the sweep has come to rest."""

    def __init__(self, sweep: Sweep, outside: Outside, progress: Progress, watch: Monitor) -> None:
        self._sweep = sweep
        self._outside = outside
        self._progress = progress
        self._watch = watch
        self._restarts: dict[UUID, Future[Operation | None]] = {}
        self.last: dict[int, Recorded] = {}
        self._hindered: set[int] = set()  # what dockmgr itself can't look at, or restart, for now
        self._own = Instance.objects.active()

    def run(self, roster: Roster) -> None:
        # Those it began with, less what is paused or leaves since; a list of their ids would be too long.
        self._own = self._own.filter(pk__lte=max(roster, default=0))
        total, end = len(roster), self._outside.clock.now() + LONGEST_HEALING
        with ThreadPoolExecutor(RESTART_THREADS, thread_name_prefix="restart") as pool:
            self._act_on(check_here(roster, self._outside, str(self._sweep.pk), self._tell), pool)
            self._watch.round()  # also where all is at rest: hosts in trouble are asked by nobody else then
            while (left := self._unsettled()) is not None and self._outside.clock.now() < end:
                self._progress(max(0, total - left), total, "settled")
                self._watch.round()
                self._take_over(pool)
                due = claim_due(self._outside.clock.now(), self._own)
                if due:
                    self._act_on(check_here(due, self._outside), pool)
                else:
                    self._outside.clock.sleep(self._pause())
            self._collect(wait=True)
        self._progress(total, total, "settled")

    def _pause(self) -> float:
        """Seconds until there may be something to do: restarts of its own end at any moment."""
        if self._restarts:
            return POLL_SECONDS
        now, asked_for = self._outside.clock.now(), Health.objects.filter(instance__in=self._own)
        due: datetime | None = asked_for.aggregate(due=Min("next_check_at"))["due"]
        wait = (due - now).total_seconds() if due else LONGEST_PAUSE
        return min(LONGEST_PAUSE, max(POLL_SECONDS, wait))

    def _act_on(self, recorded: Iterable[Recorded], pool: ThreadPoolExecutor) -> None:
        for result in recorded:
            self._note(result)
            keep_of_death(result, self._outside)
            if result.verdict and result.verdict.restart:
                operation = self._begin_restart(result.check.request.instance_id)
                if operation:
                    call = partial(run_to_end, operation.pk, self._outside)
                    self._restarts[operation.pk] = pool.submit(_on_a_thread, call)

    def _begin_restart(self, instance_id: int) -> Operation | None:
        clock = self._outside.clock
        return retry_on_disconnect(lambda: restart.begin_automatic(instance_id, clock.now()), clock)

    def _note(self, result: Recorded) -> None:
        key = result.check.request.instance_id
        self.last[key] = result
        if result.seen.reason == PROBER:
            self._hindered.add(key)
        elif result.verdict:
            self._hindered.discard(key)

    def _take_over(self, pool: ThreadPoolExecutor) -> None:
        """An operation whose process died meanwhile is carried on; who has to wait for it is not we."""
        for operation in abandoned(self._outside.clock.now()):
            if operation.pk not in self._restarts:
                call = partial(service.carry_on, operation, self._outside)
                self._restarts[operation.pk] = pool.submit(_on_a_thread, call)

    def _unsettled(self) -> int | None:
        """How many instances are not at rest; None when all are, and no host is in doubt.

        Also keeps the sweep's row alive.
        """
        now = self._outside.clock.now()
        sweeps.keep(self._sweep, now)
        self._collect(wait=False)
        # What waits for its slow attempt is at rest.
        sooner = Q(restart_not_before=None) | ~Q(next_check_at=F("restart_not_before"))
        unsettled = Q(status__in=MOVING) | Q(sooner, status=Status.FAILED, next_check_at__isnull=False)
        never_healed = Q(status=Status.UNHEALTHY, last_healthy_at=None, next_check_at=None)
        waited_for = Health.objects.filter(unsettled & ~never_healed, instance__in=self._own)
        found = waited_for.exclude(self._held_by_others()).values_list("pk", "status")
        rows = {pk: status for pk, status in found if pk not in self._hindered}
        to_heal = [pk for pk, status in rows.items() if status in (Status.UNHEALTHY, Status.FAILED)]
        left = len(rows) - len(left_alone(to_heal, now))
        return left if left or in_doubt(now) else None

    def _held_by_others(self) -> Exists:
        """Whether an operation holds the instance that is not this sweep's, nor a restart that goes well."""
        others = Operation.objects.filter(customer_id=OuterRef("instance__customer_id"), finished_at=None)
        restarts = Q(kind="restart", tries=0)  # as short as this sweep's own
        return Exists(others.exclude(restarts).exclude(pk__in=list(self._restarts)))

    def _tell(self, done: int, total: int, text: str) -> None:
        sweeps.keep(self._sweep, self._outside.clock.now())
        self._progress(done, total, text)

    def _collect(self, *, wait: bool) -> None:
        for pk, future in list(self._restarts.items()):
            if not (wait or future.done()):
                continue
            del self._restarts[pk]
            try:
                ended = future.result()
            except (BusyError, LeaseLost):
                continue  # Another process took the operation over; its end is in the database.
            if ended is not None and ended.facts.get("own_trouble") and ended.instance_id:
                self._hindered.add(ended.instance_id)


def _on_a_thread(call: Callable[[], Operation | None]) -> Operation | None:
    """What is called needs a session of the database, and the thread none after it."""
    try:
        return call()
    finally:
        release_session()
