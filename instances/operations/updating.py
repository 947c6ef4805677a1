"""Update: a new container from a newer image, or the old container itself back again."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from django.db import transaction

from instances import health, image_rules
from instances.checks import CheckRequest
from instances.errors import DockmgrError, GateFailed, PermanentError, RequestError
from instances.models import Instance, Operation
from instances.operations import container
from instances.operations.gate import request_for, wait_until_healthy, watch
from instances.operations.health_state import change
from instances.operations.journal import by_request, open_operation
from instances.operations.log_reading import last_lines
from instances.operations.runner import Enough, Procedure, Step, Work
from instances.operations.starting import started_at
from instances.recording import jitter, policy

LOG_LINES_KEPT = 40
LEAST_FREE_BYTES = 512 * 1024**2


def begin(
    instance: Instance,
    now: datetime,
    *,
    image: str | None,
    requested_by: str,
    reason: str = "",
    request_id: str | None = None,
) -> Operation:
    """Take the instance for an update, to `image` or to what its reference names now. Raises BusyError."""
    earlier = by_request(request_id)
    if earlier:
        return earlier
    if not instance.container_id:
        raise RequestError(f"{instance.customer_id} has no container to update.")
    with transaction.atomic():
        operation = open_operation(
            "update",
            instance,
            now,
            requested_by=requested_by,
            reason=reason,
            request_id=request_id,
            params={"image": image, "old_container": instance.container_id, "port": instance.port},
        )
        change(instance.pk, lambda state: state)  # outdates checks that are under way
    return operation


def old_container(work: Work) -> str:
    return str(work.operation.params["old_container"])


def new_container(work: Work) -> str | None:
    """The container this operation made, also when it could not write that down any more."""
    known = work.operation.facts.get("new_container")
    if known:
        return str(known)
    facts = work.engine.inspect(next_name(work))
    return facts.id if facts is not None and container.is_ours(work, facts) else None


def next_name(work: Work) -> str:
    return f"{work.instance.container_name}-next"


def previous_name(work: Work) -> str:
    return f"{work.instance.container_name}-previous"


def _note_old(work: Work) -> str:
    if work.engine.inspect(old_container(work)) is None:
        raise PermanentError(f"{work.instance.customer_id} has no container; restart it first.")
    return "the way back is this container"


def _see_old_healthy(work: Work) -> None:
    """The end of a way back: what is observed counts, not that every call returned."""
    if not work.journal.was_begun("stop old"):
        return
    since = work.outside.clock.now()
    try:
        work.last_check = wait_until_healthy(work, since, _old_request(work))
    except GateFailed as error:
        work.journal.remember(old_is_ill=str(error))


def _old_request(work: Work) -> CheckRequest:
    return replace(request_for(work), container=old_container(work), container_id=old_container(work))


def _pull(work: Work) -> str:
    instance = work.instance
    _refuse_full_disk(work)
    ref = work.operation.params["image"] or instance.image_ref
    image = work.engine.pull(ref, lambda text: work.journal.check())
    work.journal.remember(new_image=image.id)
    work.journal.write(image_after=image.id)
    if image.id == instance.image_id:
        work.journal.remember(unchanged=True)
        raise Enough(f"{ref} is what runs already")
    if image.id in instance.failed_images and not work.operation.params["image"]:
        raise PermanentError(
            f"{ref} is an image that failed for {instance.customer_id} before; name it to try it again."
        )
    return image.id


def _refuse_full_disk(work: Work) -> None:
    """An engine on this machine needs room for the image; another machine's disk can't be asked."""
    root = work.engine.facts().root
    if root and Path(root).is_dir() and shutil.disk_usage(root).free < LEAST_FREE_BYTES:
        raise PermanentError(f"Host {work.instance.host.name} has less than 512 MB of disk left for images.")


def _verify(work: Work) -> str:
    image = work.engine.image(new_image(work))
    if image is None:
        raise PermanentError("The image vanished from the host right after it was pulled.")
    found = list(image_rules.problems(image, work.instance.plan.spec(), work.engine.facts()))
    if found:
        raise PermanentError(" ".join(found))
    return "fits plan and host"


def new_image(work: Work) -> str:
    return str(work.operation.facts["new_image"])


def _create_next(work: Work) -> str:
    spec = replace(work.instance.spec(), name=next_name(work), image=new_image(work))
    made = container.make(work, spec)
    work.journal.remember(new_container=made)
    return made


def _remove_next(work: Work) -> None:
    made = new_container(work)
    if made:
        work.engine.remove(made)


def _stop_old(work: Work) -> str:
    work.engine.stop(old_container(work), work.instance.plan.stop_timeout)
    return "stopped, kept for the way back"


def _start_old(work: Work) -> None:
    work.engine.start(old_container(work))


def _rename(work: Work, which: str | None, name: str) -> None:
    """Give a container a name unless it has it or is gone."""
    facts = work.engine.inspect(which) if which else None
    if facts is not None and facts.name != name:
        work.engine.rename(facts.id, name)


def _set_old_aside(work: Work) -> str:
    _rename(work, old_container(work), previous_name(work))
    return previous_name(work)


def _put_old_back(work: Work) -> None:
    _rename(work, old_container(work), work.instance.container_name)


def _name_next(work: Work) -> str:
    _rename(work, new_container(work), work.instance.container_name)
    return work.instance.container_name


def _unname_next(work: Work) -> None:
    _rename(work, new_container(work), next_name(work))


def _start_next(work: Work) -> str:
    work.engine.start(str(new_container(work)))
    work.journal.remember(started_at=work.outside.clock.now().isoformat())
    return "started"


def _stop_next(work: Work) -> None:
    made = new_container(work)
    if made:
        work.engine.stop(made, work.instance.plan.stop_timeout)


def _new_request(work: Work) -> CheckRequest:
    made = str(new_container(work))
    return replace(request_for(work), container=made, container_id=made)


def _gate(work: Work) -> str:
    since = started_at(work) or work.outside.clock.now()
    check = wait_until_healthy(work, since, _new_request(work))
    return f"healthy after {(check.seen.finished_at - since).total_seconds():.1f} s"


def _watch(work: Work) -> str:
    since = started_at(work) or work.outside.clock.now()
    work.last_check = watch(work, since, _new_request(work))
    return f"still healthy after {(work.last_check.seen.finished_at - since).total_seconds():.0f} s"


def _write_down(work: Work) -> str:
    instance = work.instance
    instance.container_id = str(new_container(work))
    instance.image_id = new_image(work)
    instance.image = work.operation.params["image"] or instance.image
    instance.save(update_fields=["container_id", "image_id", "image"])
    return "the new container is the instance's now"


def _remove_old(work: Work) -> str:
    work.engine.remove(old_container(work))
    return "removed"


def _explain(work: Work) -> None:
    """Keep the failed container's last words and its end; it will be gone."""
    made = new_container(work)
    facts = work.engine.inspect(made) if made else None
    if facts is None:
        return
    try:
        lines = last_lines(work.instance, work.engine, LOG_LINES_KEPT, container=facts.id).lines
    except DockmgrError as error:
        lines = [f"(no log: {error})"]
    state = {"state": facts.state, "exit_code": facts.exit_code, "oom_killed": facts.oom_killed}
    work.journal.remember(logs=lines, failed_container=state)


def _succeeded(work: Work) -> None:
    if work.operation.facts.get("unchanged"):
        return
    now, rules = work.outside.clock.now(), policy(work.instance.plan.start_grace)
    change(work.instance.pk, lambda state: health.restart_passed(state, rules, now), work.last_check)


def _failed(work: Work) -> None:
    if not work.journal.was_begun("stop old"):
        return
    _remember_bad_image(work)
    now, rules = work.outside.clock.now(), policy(work.instance.plan.start_grace)
    if work.operation.facts.get("old_is_ill"):
        change(work.instance.pk, lambda s: health.restart_failed(s, rules, now, None, jitter()))
    else:
        change(work.instance.pk, lambda s: health.restart_passed(s, rules, now), work.last_check)
    work.journal.write(image_after=work.instance.image_id)


def _remember_bad_image(work: Work) -> None:
    """A failed gate speaks against the image; trouble of the host does not."""
    bad, instance = new_image(work), work.instance
    if not work.operation.facts.get("host_trouble") and bad not in instance.failed_images:
        instance.failed_images = [*instance.failed_images, bad]
        instance.save(update_fields=["failed_images"])


def _status(work: Work) -> str:
    return "rolled_back" if work.journal.was_begun("stop old") else "failed"


PROCEDURE = Procedure(
    kind="update",
    steps=(
        Step("note old", _note_old, undo=_see_old_healthy),
        Step("pull", _pull),
        Step("verify image", _verify),
        Step("create next", _create_next, undo=_remove_next),
        Step("stop old", _stop_old, undo=_start_old),
        Step("set old aside", _set_old_aside, undo=_put_old_back),
        Step("name next", _name_next, undo=_unname_next),
        Step("start next", _start_next, undo=_stop_next),
        Step("wait until healthy", _gate),
        Step("watch", _watch),
        Step("write down", _write_down, final=True),
        Step("remove old", _remove_old, final=True),
    ),
    succeeded=_succeeded,
    failed=_failed,
    undone_status=_status,
    explain=_explain,
)
