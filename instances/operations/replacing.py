"""Replacing a container by one from another image: the steps both ways of updating have in common."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from django.db import transaction

from instances import health, image_rules
from instances.checks import RUNNING, CheckRequest, request_for
from instances.engine.port import ImageFacts
from instances.errors import (
    DockmgrError,
    GateFailed,
    NotFoundOnEngine,
    PermanentError,
    PortTaken,
    RequestError,
)
from instances.models import Instance, Operation
from instances.operations import container
from instances.operations.gate import wait_until_healthy, watch
from instances.operations.health_state import change
from instances.operations.journal import open_operation
from instances.operations.log_reading import last_lines
from instances.operations.runner import Enough, Step, Work
from instances.operations.starting import started_at
from instances.recording import policy

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
    """Take the instance for an update, to `image` or to what its reference names now.

    Raises RequestError when it has nothing to update, BusyError while it is being changed.
    """
    if not instance.container_id:
        raise RequestError(f"{instance.customer_id} has no container to update.")
    params = {
        "image": image,
        "old_container": instance.container_id,
        "port": instance.port,
        "strategy": strategy(instance),
    }
    with transaction.atomic():
        operation = open_operation(
            "update",
            instance,
            now,
            requested_by=requested_by,
            reason=reason,
            request_id=request_id,
            params=params,
        )
        change(instance.pk, now, lambda state: state)  # outdates checks that are under way
    return operation


def strategy(instance: Instance) -> str:
    """The plan's way of updating; two containers never share a data volume, whatever it says.

    Nor do they share the ports and addresses of an adopted one.
    """
    alone = bool(instance.plan.data_path) or instance.adopted is not None
    return "recreate" if alone else str(instance.plan.update_strategy)


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


def new_port(work: Work) -> int:
    """The port the new container publishes: the old one's, unless both are to run at once."""
    return int(work.operation.facts.get("new_port") or work.operation.params["port"] or 0)


def new_image(work: Work) -> str:
    return str(work.operation.facts["new_image"])


def note_old(work: Work) -> str:
    if work.engine.inspect(old_container(work)) is None:
        raise PermanentError(f"{work.instance.customer_id} has no container; restart it first.")
    return "the way back is this container"


def pull(work: Work) -> str:
    instance = work.instance
    _refuse_full_disk(work)
    ref = work.operation.params["image"] or instance.image_ref
    image = _fetch(work, ref)
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


def _fetch(work: Work, ref: str) -> ImageFacts:
    """The newest image of a reference; one built on the host and never pushed has no newer one."""
    local = work.engine.image(ref)
    if local is not None and not local.digests:
        return local
    return work.engine.pull(ref, lambda _text: work.journal.check())


def _refuse_full_disk(work: Work) -> None:
    """An engine on this machine needs room for the image; another machine's disk can't be asked."""
    root = work.engine.facts().root
    if root and Path(root).is_dir() and shutil.disk_usage(root).free < LEAST_FREE_BYTES:
        raise PermanentError(f"Host {work.instance.host.name} has less than 512 MB of disk left for images.")


def verify(work: Work) -> str:
    if work.operation.facts.get("unchanged"):
        raise Enough("nothing to do")  # found by a process that was killed before it could say so
    image = work.engine.image(new_image(work))
    if image is None:
        raise PermanentError("The image vanished from the host right after it was pulled.")
    instance = work.instance
    plan = replace(instance.plan.spec(), container_port=instance.container_port)
    found = list(image_rules.problems(image, plan, work.engine.facts(), instance.mount_points))
    if found:
        raise PermanentError(" ".join(found))
    return "fits plan and host"


def create_next(work: Work) -> str:
    wanted = work.instance.spec(port=new_port(work), image=work.operation.params["image"])
    spec = replace(wanted, name=next_name(work), image=new_image(work))
    made = container.make(work, spec)
    work.journal.remember(new_container=made)
    return made


def remove_next(work: Work) -> None:
    made = new_container(work)
    if made:
        work.engine.remove(made)


def rename(work: Work, which: str | None, name: str) -> None:
    """Give a container a name unless it has it or is gone."""
    facts = work.engine.inspect(which) if which else None
    if facts is not None and facts.name != name:
        work.engine.rename(facts.id, name)


def name_next(work: Work) -> str:
    rename(work, new_container(work), work.instance.container_name)
    return work.instance.container_name


def remove_old(work: Work) -> str:
    work.engine.remove(old_container(work))
    return "removed"


def explain(work: Work) -> None:
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


@contextmanager
def blaming_image(work: Work) -> Iterator[None]:
    """A container that can't be started or fails its gate speaks against the image; a taken port does not."""
    try:
        yield
    except PermanentError as error:
        work.journal.remember(image_failed=not isinstance(error, PortTaken | NotFoundOnEngine))
        raise


def remember_bad_image(work: Work) -> None:
    """An image that failed is not tried again unasked; trouble of the host is none of the image."""
    bad, instance = new_image(work), work.instance
    if work.operation.facts.get("image_failed") and bad not in instance.failed_images:
        instance.failed_images = [*instance.failed_images, bad]
        instance.save(update_fields=["failed_images"])


def new_request(work: Work) -> CheckRequest:
    """How to ask the new container: by its own id, at the port it publishes."""
    made, instance = str(new_container(work)), work.instance
    url = instance.health_url_at(new_port(work))
    return replace(request_for(work.instance, RUNNING), container=made, container_id=made, url=url)


def gate(work: Work) -> str:
    since = started_at(work) or work.outside.clock.now()
    with blaming_image(work):
        check = wait_until_healthy(work, since, new_request(work))
    work.journal.remember(restarts=_restarts(work))
    return f"healthy after {(check.seen.finished_at - since).total_seconds():.1f} s"


def keep_watch(work: Work) -> str:
    since = started_at(work) or work.outside.clock.now()
    with blaming_image(work):
        work.last_check = watch(work, since, new_request(work))
        _refuse_revived(work)
    return f"still healthy after {(work.last_check.seen.finished_at - since).total_seconds():.0f} s"


def _refuse_revived(work: Work) -> None:
    """A program that dies between two looks is up again at the second: only the engine's count tells."""
    if _restarts(work) > work.operation.facts.get("restarts", 0):
        raise GateFailed(f"{work.instance.customer_id} was healthy, then ended and had to be started again.")


def _restarts(work: Work) -> int:
    facts = work.engine.inspect(str(new_container(work)))
    return facts.restart_count if facts else 0


def succeeded(work: Work) -> None:
    """The container in service passed its gate; an update that changed nothing says nothing new."""
    if work.operation.facts.get("unchanged"):
        return
    now, rules = work.outside.clock.now(), policy(work.instance.plan.start_grace)
    change(work.instance.pk, now, lambda state: health.restart_passed(state, rules, now), work.last_check)


def write_down(work: Work) -> str:
    instance = work.instance
    instance.container_id = str(new_container(work))
    instance.image_id = new_image(work)
    instance.image = work.operation.params["image"] or instance.image
    instance.port = new_port(work) or instance.port
    instance.failed_images = [image for image in instance.failed_images if image != instance.image_id]
    instance.save(update_fields=["container_id", "image_id", "image", "port", "failed_images"])
    return "the new container is the instance's now"


NOTE_OLD = "note old"
PULL = Step("pull", pull)
VERIFY = Step("verify image", verify)
CREATE_NEXT = Step("create next", create_next, undo=remove_next)
GATE = Step("wait until healthy", gate)
WATCH = Step("watch", keep_watch)
WRITE_DOWN = Step("write down", write_down, final=True)
REMOVE_OLD = Step("remove old", remove_old, final=True)
