"""The sweep and the checks it fans out to workers; `instances/fleet/sweep.py` needs none of them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from celery import Task
from django.conf import settings
from django.db import InterfaceError, OperationalError
from msgspec import Struct
from msgspec.structs import replace

from instances import documents, lookup, state_file
from instances.checks import sweeps
from instances.checks.check_requests import CheckRequest, request_as_listed, requests_in_turn
from instances.checks.dark_hosts import CheckPlan, dark_engines, plan_checks
from instances.checks.due import CLAIM_SECONDS, claim_due
from instances.checks.observe import Check, FetchedAnswer, observe, unseen
from instances.checks.record import Recorded, record
from instances.checks.roster import Roster
from instances.checks.stalled import is_any_stalled, take_stalled
from instances.db.batch_writer import BatchWriter
from instances.db.clock import SYSTEM
from instances.documents import shapes
from instances.engine.pool import EngineAddress
from instances.errors import BusyError, OutOfReachError, RequestError
from instances.models import Health, Sweep
from instances.models.installation import installation_id
from instances.operations import service
from instances.operations.last_words import is_new_death, keep_of_death
from instances.operations.requester import a_service
from tasks.app import app, task
from tasks.broker.connection import reaching_broker, require_broker
from tasks.broker.foreign import is_ours
from tasks.broker.message import expiry
from tasks.broker.publishing import publish_many
from tasks.broker.queues import queue_lengths
from tasks.heartbeat import announce_sweep
from tasks.host_lanes import HostLanes
from tasks.operations import heal
from tasks.schedule import sweep_rhythm

logger = logging.getLogger(__name__)
UNSEEN_AT_ONCE = 500
LIST_PATIENCE = 1.0  # seconds an engine has for its list, before what is due on other hosts would wait for it
COMMIT_SECONDS = 20.0  # until a check that waits to be written down is given up


def commit(checks: Sequence[Check]) -> Sequence[Recorded]:
    recorded, finished = record(checks, SYSTEM.now())
    for sweep_id in finished:
        logger.info("Sweep %s finished.", sweep_id, extra={"sweep_id": sweep_id})
        tell_of_finished()
    return recorded


COMMITTER: BatchWriter[Check, Recorded] = BatchWriter(commit)


@task("dockmgr.sweep", bind=True)
def sweep(
    self: Task[..., Any], requested_by: str = "task", reason: str = "", request_id: str | None = None
) -> dict[str, Any]:
    """Start a sweep: one message per active instance. Refused while one is running.

    `reason` and `request_id`, which every task that begins something takes, are kept nowhere.
    """
    named = a_service(requested_by, reason, request_id).requested_by
    by = requested_by if is_ours(self.request.headers) else named
    now, rhythm = SYSTEM.now(), sweep_rhythm()
    interval = rhythm.shortest if rhythm else float(settings.SWEEP_INTERVAL)
    try:
        row = sweeps.start(now, interval, by=by, scheduled=by == "beat")
    except BusyError as error:
        logger.info("No sweep now: %s", error)
        return {"sweep_id": None, "refused": str(error)}
    roster = Roster.of_active()
    Sweep.objects.filter(pk=row.pk).update(total=len(roster))
    fan_out_sweep(row, roster, sweeps.lifetime(interval))
    return {"sweep_id": str(row.pk), "total": len(roster)}


def fan_out_sweep(row: Sweep, roster: Roster, expires: timedelta, *, patience: float = float("inf")) -> None:
    """Publish a sweep's checks; one that has none left is over."""
    if not roster:
        sweeps.finish(row, SYSTEM.now())
        tell_of_finished()
    fan_out(roster, expires, str(row.pk), patience=patience)


def tell_of_finished() -> None:
    """Tell whoever waits for the end of sweeps."""
    state_file.write()
    announce_sweep()


def carry_on_stalled() -> None:
    """Publish once more what is left of a sweep that goes no further though no check waits in the queue.

    Hosts are not waited for: it may be late already. Raises OutOfReachError without a broker.
    """
    now = SYSTEM.now()
    if not is_any_stalled(now) or queue_lengths()["health"]:
        return
    if taken := take_stalled(now):
        row, left = taken
        logger.warning("Sweep %s had stalled; %d instances of %d are left.", row.pk, len(left), row.total)
        fan_out_sweep(row, left, row.expires_at - now, patience=LIST_PATIENCE)


@task("dockmgr.follow_up")
def follow_up() -> None:
    """`publish_due` on request; every worker does it beside its work."""
    publish_due()


def publish_due() -> None:
    """Publish the checks that are due outside the sweep: suspects, starting ones, held restarts."""
    now = SYSTEM.now()
    while due := claim_due(now):
        fan_out(due, timedelta(seconds=CLAIM_SECONDS), patience=LIST_PATIENCE)


def fan_out(
    roster: Roster, expires: timedelta, sweep_id: str | None = None, *, patience: float = float("inf")
) -> None:
    """Publish what is to be looked at, and write down what is known without looking.

    An engine is waited for `patience` seconds at most; without its list its instances are looked at as well.
    """
    plan = plan_checks(roster, sweep_id)
    publish(plan.leads, expires)
    for requests in requests_in_turn(plan.usual, service.OUTSIDE.engines, sweep_id, patience=patience):
        publish(requests, expires)
    write_down_unseen(plan)


def write_down_unseen(plan: CheckPlan) -> None:
    """Write down what is known of the instances of dark hosts without looking."""
    unseen = plan.unseen(SYSTEM.now())
    while some := list(islice(unseen, UNSEEN_AT_ONCE)):
        commit(some)


class CheckJob(Struct, frozen=True):
    """A check to be made, unless it is later than `until` by then.

    `fetched` is an answer that is there already, `again` as in `Check`. Each of `ended` is called
    once it is over, with whether what it saw is lost.
    """

    request: CheckRequest
    until: datetime | None = None
    fetched: FetchedAnswer | None = None
    again: bool = False
    ended: tuple[Callable[[bool], None], ...] = ()

    def is_over(self, now: datetime) -> bool:
        return self.until is not None and now >= self.until


def join(waiting: CheckJob, coming: CheckJob) -> CheckJob:
    """One look serves both; a sweep waits for its own until its time is over, and is told in the history."""
    sweep_id = coming.request.sweep_id or waiting.request.sweep_id
    look = (coming.request.look and waiting.request.look) or None
    until = max(coming.until, waiting.until) if coming.until and waiting.until else None
    request = replace(coming.request, sweep_id=sweep_id, look=look)
    again, ended = waiting.again or coming.again, waiting.ended + coming.ended
    return replace(coming, request=request, until=until, again=again, ended=ended)


def _carry_out(job: CheckJob) -> None:
    is_lost = False
    try:
        if not job.is_over(SYSTEM.now()):
            _check(job)
    except OutOfReachError as error:
        is_lost = True
        logger.warning("%s: %s", job.request.customer_id, error)
    finally:
        for ended in job.ended:
            ended(is_lost)


LANES: HostLanes[CheckJob] = HostLanes(_carry_out, join)
_dark: Mapping[EngineAddress, str] = {}


def note_dark_hosts() -> None:
    """Find out which hosts need no look, for the checks of this process that wait already."""
    global _dark
    _dark = dark_engines()


@task("dockmgr.check_health", bind=True, Strategy="tasks.many_checks:strategy")
def check_health(
    self: Task[..., Any], customer_id: str, request: dict[str, Any] | None = None
) -> shapes.Check | None:
    """Probe one instance, judge, record, and order the restart if the verdict asks for one.

    A sweep sends a `request`, which saves reading the database. Without it the CHECK is returned: what was
    seen and, if that did not count, why.
    """
    if request is not None:
        job = CheckJob(CheckRequest.from_message(request), expiry(self.request.expires))
        LANES.run(job.request.engine, job.request.instance_id, job)
        return None
    own = request_as_listed(
        lookup.instance(customer_id), service.OUTSIDE.engines, installation=installation_id()
    )
    if self.request.ignore_result:
        LANES.run(own.engine, own.instance_id, CheckJob(own))
        return None
    made = _check(CheckJob(replace(own, leads=True)))
    health = Health.objects.select_related("instance").filter(pk=own.instance_id).first()
    if health is None:
        raise RequestError(f"The instance of customer {customer_id} was removed while it was checked.")
    return documents.fresh_check(health, made.seen, made.skipped)


def known_dark(request: CheckRequest) -> Check | None:
    """The check of an instance that need not be looked at, because its host is known to be out of reach."""
    why = _dark.get(request.engine) if _dark and not request.leads else None
    return None if why is None else unseen(request, why, SYSTEM.now())


def _look(job: CheckJob) -> Check:
    request, fetched = job.request, job.fetched
    if check := known_dark(request):
        return check
    if fetched and SYSTEM.now() - fetched.started > timedelta(seconds=2 * settings.PROBE_TIMEOUT):
        fetched = None  # It had to wait for so long that this says little about now.
    return replace(observe(request, service.OUTSIDE, settings.PROBE_TIMEOUT, fetched), again=job.again)


def _check(job: CheckJob) -> Recorded:
    with COMMITTER.expecting():
        check = _look(job)
        recorded = _recorded(check)
    follow(recorded)
    return recorded


def calls_for_more(recorded: Recorded) -> bool:
    """Whether something is to be done now that a check is recorded."""
    return is_new_death(recorded) or bool(recorded.verdict and recorded.verdict.restart)


def follow(recorded: Recorded) -> None:
    """Order the restart that a check calls for, and keep a dead container's last words."""
    if recorded.verdict and recorded.verdict.restart:
        heal.apply_async(kwargs={"instance_id": recorded.check.request.instance_id})
    keep_of_death(recorded, service.OUTSIDE)


def _recorded(check: Check) -> Recorded:
    """What became of a check. One that can't be written down in time is lost; the next sweep looks again.

    Raises OutOfReachError then.
    """
    written = COMMITTER.submit(check)
    try:
        return written.result(COMMIT_SECONDS)
    except (TimeoutError, OperationalError, InterfaceError):
        written.cancel()
        raise OutOfReachError("The database does not answer, so what the check saw is lost.") from None


def publish(requests: Iterable[CheckRequest], expires: timedelta) -> None:
    """Send one message per request, in batches over one connection."""
    many = ({"customer_id": one.customer_id, "request": one} for one in requests)
    publish_many(app, check_health, many, expires)


def enqueue_sweep(by: str) -> str:
    """Have the workers sweep now; returns the task's id. Raises OutOfReachError without a broker."""
    require_broker()
    with reaching_broker():
        return str(sweep.apply_async(kwargs={"requested_by": by}, ignore_result=True).id)


def enqueue_checks(customer_ids: Sequence[str]) -> dict[str, str]:
    """Have the workers check these customers; returns task ids by customer. Raises OutOfReachError."""
    require_broker()
    with reaching_broker():
        return {
            cid: str(check_health.apply_async(kwargs={"customer_id": cid}, ignore_result=True).id)
            for cid in customer_ids
        }
