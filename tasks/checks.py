"""The sweep and the checks it fans out."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import InterfaceError, OperationalError

from instances import documents, lookup, state_file
from instances.checks import sweeps
from instances.checks.observe import Check, CheckRequest, observe, requests_for
from instances.checks.record import Recorded, record
from instances.db.batch_writer import BatchWriter
from instances.db.clock import SYSTEM
from instances.documents import shapes
from instances.errors import BusyError, OutOfReachError
from instances.fleet.sweep import CLAIM_SECONDS, claim_due
from instances.models import Health, Instance, Sweep
from instances.monitoring.self_check import show_life
from instances.monitoring.self_rules import Part
from instances.operations import service
from tasks.app import app, task
from tasks.broker.connection import reaching_broker, require_broker
from tasks.heartbeat import announce_sweep
from tasks.operations import heal
from tasks.schedule import sweep_interval

logger = logging.getLogger(__name__)

COMMIT_SECONDS = 20.0  # until a check that waits to be written down is given up


def _commit(checks: Sequence[Check]) -> Sequence[Recorded]:
    recorded, finished = record(checks, SYSTEM.now())
    for sweep_id in finished:
        logger.info("Sweep %s finished.", sweep_id, extra={"sweep_id": sweep_id})
        state_file.write()
        announce_sweep()
    return recorded


COMMITTER: BatchWriter[Check, Recorded] = BatchWriter(_commit)


@task("dockmgr.sweep")
def sweep(requested_by: str = "task", reason: str = "", request_id: str | None = None) -> dict[str, Any]:
    """Start a sweep: one message per active instance. Refused while one is running."""
    now, interval = SYSTEM.now(), sweep_interval()
    try:
        row = sweeps.start(now, interval, by=requested_by, scheduled=requested_by == "beat")
    except BusyError as error:
        logger.info("No sweep now: %s", error)
        return {"sweep_id": None, "refused": str(error)}
    instances = list(Instance.objects.active().without_secrets())
    Sweep.objects.filter(pk=row.pk).update(total=len(instances))
    if not instances:
        sweeps.finish(row, now)
        state_file.write()
        announce_sweep()
    publish(requests_for(instances, service.OUTSIDE.engines, str(row.pk)), expires=sweeps.lifetime(interval))
    return {"sweep_id": str(row.pk), "total": len(instances)}


@task("dockmgr.follow_up")
def follow_up() -> None:
    """Publish the checks that are due outside the sweep: suspects, starting ones, held restarts."""
    now = SYSTEM.now()
    show_life(Part.CLOCKWORK, now)
    due = claim_due(now)
    if due:
        publish(requests_for(due, service.OUTSIDE.engines), expires=timedelta(seconds=CLAIM_SECONDS))


@task("dockmgr.check_health")
def check_health(customer_id: str, request: dict[str, Any] | None = None) -> shapes.Check | None:
    """Probe one instance, judge, record, and order the restart if the verdict asks for one.

    `request` comes from the sweep and saves reading the database; without it the CHECK is returned.
    """
    if request is not None:
        try:
            _check(CheckRequest.from_message(request))
        except OutOfReachError as error:
            logger.warning("%s: %s", customer_id, error)
        return None
    [own] = requests_for([lookup.instance(customer_id)], service.OUTSIDE.engines)
    _check(own)
    return documents.check(Health.objects.select_related("instance").get(pk=own.instance_id))


def _check(request: CheckRequest) -> None:
    with COMMITTER.expecting():
        check = observe(request, service.OUTSIDE, settings.PROBE_TIMEOUT)
        recorded = _recorded(check)
    if recorded.verdict and recorded.verdict.restart:
        heal.apply_async(kwargs={"instance_id": request.instance_id})


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


def _batch(producer: Any) -> AbstractContextManager[Any]:
    """kombu's batch mode, which its type stubs do not know yet."""
    batch: AbstractContextManager[Any] = producer.batch()
    return batch


def publish(requests: Sequence[CheckRequest], expires: timedelta) -> None:
    """Send one message per request, in batches over one connection."""
    with app.producer_pool.acquire(block=True) as producer, _batch(producer):
        for request in requests:
            check_health.apply_async(  # type: ignore[call-arg]
                kwargs={"customer_id": request.customer_id, "request": request.message()},
                producer=producer,
                expires=expires.total_seconds(),
                ignore_result=True,
                retry=False,
                argsrepr="",
                kwargsrepr="",
            )


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
