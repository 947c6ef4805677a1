"""Restart: stop, start (or make anew what is gone), wait until healthy."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.db import transaction

from instances.checks.policy import jitter, policy
from instances.checks.transition import change
from instances.errors import BusyError
from instances.health import state as health
from instances.health.response import sentence
from instances.health.state import State, Status
from instances.incidents.hosts import healing_held
from instances.models import Health, Host, Instance, Operation
from instances.operations.journal import open_operation
from instances.operations.requester import Requester, dockmgr
from instances.operations.runner import Procedure, Step, Work
from instances.operations.steps import container
from instances.operations.steps.start import START, WAIT_UNTIL_HEALTHY, started_at

HELD_FOR = 30.0  # seconds until an instance is looked at again where nothing may be restarted
DENIED_FOR = 5.0  # seconds until an instance is looked at again whose host had no restart to spare


def begin(instance: Instance, now: datetime, requester: Requester) -> Operation:
    """Take the instance for a restart somebody asked for; always allowed. Raises BusyError."""
    with transaction.atomic():
        operation = open_operation("restart", instance, now, requester)
        change(instance.pk, now, lambda state: health.restart_begun(state, now, automatic=False))
    return operation


def begin_automatic(instance_id: int, now: datetime) -> Operation | None:
    """Take an unhealthy instance for an automatic restart, or None when that is not called for.

    It is dropped, never queued, when the instance recovered, is being changed, has used up its
    attempts, when healing is held there, or its host already has its share of restarts under way.
    The attempt is counted in the same transaction, so no crash can make it free.
    """
    with transaction.atomic():
        instance = Instance.objects.select_related("host", "plan").get(pk=instance_id)
        Host.objects.select_for_update().get(pk=instance.host_id)
        state = Health.objects.get(pk=instance_id).state()
        if state.status is not Status.UNHEALTHY or state.restarts_used >= settings.RESTART_LIMIT:
            return None
        if healing_held(instance, now):
            change(instance_id, now, lambda state: health.restart_denied(state, now, HELD_FOR))
            return None
        if _under_way(instance.host_id) >= settings.RESTARTS_PER_HOST:
            change(instance_id, now, lambda state: health.restart_denied(state, now, DENIED_FOR))
            return None
        return _take(instance, state, now)


def _under_way(host_id: int) -> int:
    return Operation.objects.filter(host_id=host_id, kind="restart", automatic=True, finished_at=None).count()


def _take(instance: Instance, state: State, now: datetime) -> Operation | None:
    attempt = state.restarts_used + 1
    failed = "1 failed check" if state.failures == 1 else f"{state.failures} failed checks"
    reason = f"{failed}, attempt {attempt} of {settings.RESTART_LIMIT}"
    try:
        operation = open_operation("restart", instance, now, dockmgr(reason), automatic=True)
    except BusyError:
        return None
    change(instance.pk, now, lambda state: health.restart_begun(state, now, automatic=True))
    return operation


def _stop(work: Work) -> str:
    facts = work.engine.inspect(work.instance.container_id) if work.instance.container_id else None
    if facts is None:
        return "there is no container"
    work.engine.stop(facts.id, work.instance.stop_timeout)
    return f"was {facts.state}"


def _recreate_if_missing(work: Work) -> str:
    instance = work.instance
    facts = work.engine.inspect(instance.container_name)
    if facts is not None and facts.id == instance.container_id:
        return "kept"
    wanted = instance.spec()
    if wanted.volume:
        work.engine.create_volume(wanted.volume, wanted.labels)
    image = _image_to_run(work)
    container.create(work, image)
    return f"recreated on {image}"


def _image_to_run(work: Work) -> str:
    """The exact image the lost container ran, if the engine still has it; else the reference."""
    known = work.engine.image(work.instance.image_id) if work.instance.image_id else None
    if known is None:
        known = container.ensure_image(work, work.instance.image_ref)
        work.instance.image_id = known.id
        work.save("image_id")
    return known.id


def _succeeded(work: Work) -> None:
    now, instance = work.outside.clock.now(), work.instance
    rules = policy(instance.plan.start_grace)
    change(instance.pk, now, lambda state: health.restart_passed(state, rules, now), work.last_check)
    work.journal.write(image_after=instance.image_id)


def _failed(work: Work) -> None:
    now, instance, facts = work.outside.clock.now(), work.instance, work.operation.facts
    rules = policy(instance.plan.start_grace)
    started = started_at(work)
    if facts.get("host_trouble"):
        refund = work.operation.automatic
        change(instance.pk, now, lambda state: health.restart_prevented(state, rules, now, refund=refund))
        Health.objects.filter(pk=instance.pk).update(reason="engine", error=sentence("engine"))
    else:
        change(instance.pk, now, lambda s: health.restart_failed(s, rules, now, started, jitter()))


PROCEDURE = Procedure(
    kind="restart",
    steps=(
        Step("stop", _stop),
        Step("recreate", _recreate_if_missing),
        START,
        WAIT_UNTIL_HEALTHY,
    ),
    succeeded=_succeeded,
    failed=_failed,
)
