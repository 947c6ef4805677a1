"""The end of every operation that starts a container: start it, wait until it is healthy, write that down."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from instances.checks.policy import policy
from instances.checks.transition import change
from instances.containers.spec import is_managed
from instances.errors import PermanentError
from instances.health import restarts
from instances.models import Operation
from instances.operations.procedure import Step, Work, pull_limit
from instances.operations.steps import container, data, exact, taken_name
from instances.operations.steps.wait_healthy import note_start, wait_limit, wait_until_healthy

ANEW = "the engine was killed while it started the former container, and can't start it any more"


def started_at(work: Work) -> datetime | None:
    """When this operation started the container, if it came that far."""
    moment = work.operation.facts.get("started_at")
    return datetime.fromisoformat(moment) if moment else None


def _start(work: Work) -> str:
    _give_back_policy(work)
    container.start_on_free_port(work, lambda: _ready_for_remaking(work))
    note_start(work, work.instance.container_id)
    done = f"published on port {work.instance.port}" if work.instance.port else "started"
    is_anew = work.operation.facts.get("never_starts") not in (None, work.instance.container_id)
    return f"{done}, made anew: {ANEW}" if is_anew else done


def _ready_for_remaking(work: Work) -> str:
    _refuse_to_lose_files(work)
    data.ready_for_remaking(work)
    return exact.image_to_run(work)


def _refuse_to_lose_files(work: Work) -> None:
    """Who made the container may keep data in it, and not in volumes. Raises PermanentError."""
    container_id = work.instance.container_id
    facts = work.engine.inspect(container_id) if taken_name.never_starts(work, container_id) else None
    if facts is not None and not is_managed(facts.labels):
        raise PermanentError(
            f"The engine was killed while it started {facts.name}, and can't start it until the host is "
            "booted. dockmgr did not make it, so files may be in it alone: save them before you remove it."
        )


def _give_back_policy(work: Work) -> None:
    """An update takes the restart policy of the container it stops, and may end before it gives it back."""
    container_id = work.instance.container_id
    updates = Operation.objects.filter(kind="update", params__old_container=container_id)
    facts = updates.order_by("-created_at").values_list("facts", flat=True).first()
    taken: dict[str, Any] | None = (facts or {}).get("old_policy")
    if not taken:
        return
    found = work.engine.inspect(container_id)
    if found is not None and found.restart_policy == "no":
        work.engine.set_restart_policy(container_id, taken)


def _wait(work: Work) -> str:
    since = started_at(work) or work.outside.clock.now()
    work.last_check = wait_until_healthy(work, since)
    return f"healthy after {(work.last_check.seen.finished_at - since).total_seconds():.1f} s"


def note_healthy(work: Work, *, automatic: bool = False) -> None:
    """Write into its health that the container in service passed its gate: an `automatic` restart helped."""
    now, rules = work.outside.clock.now(), policy(work.instance.plan.start_grace)
    change(
        work.instance.pk,
        now,
        lambda state: restarts.restart_passed(state, rules, now, automatic=automatic),
        work.last_check,
    )


START = Step("start", _start, interrupts=True, limit=pull_limit)  # of an image that is gone by then
WAIT_UNTIL_HEALTHY = Step("wait until healthy", _wait, interrupts=True, limit=wait_limit)
