"""Replacing a container by one from another image: the steps both ways of updating have in common."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

from msgspec import structs

from instances.checks.check_requests import CheckRequest, request_for
from instances.checks.observe import RUNNING
from instances.containers.spec import next_name
from instances.errors import (
    ContainerHung,
    LeftPaused,
    NoPlace,
    NotFoundOnEngine,
    PermanentError,
    PortTaken,
    RemovedMeanwhile,
)
from instances.health.blame import Whose, whose
from instances.health.soak import was_stopped
from instances.operations.find_own import sharers_of_data
from instances.operations.procedure import Step, StepTookTooLong, Work
from instances.operations.steps import approval, container, data, generated, own_container, ports, taken_name
from instances.operations.steps.explain import note_failed
from instances.operations.steps.former_values import forget_replaced
from instances.operations.steps.start import note_healthy, started_at
from instances.operations.steps.wait_healthy import note_run, wait_limit, wait_until_healthy, watch

OF_THE_NEW = (
    "container_id", "image_id", "image_digest", "approved_image", "volumes", "image", "port", "made_with",
    "failed_images",
)  # fmt: skip
CHECKS_GO_ON = "health checks go on from here"
NOT_THE_IMAGES = (PortTaken, NoPlace, NotFoundOnEngine, ContainerHung, LeftPaused, RemovedMeanwhile)


def old_container(work: Work) -> str:
    """The container to go back to: that from before, or what was made in its place."""
    return str(work.operation.facts.get("old_remade") or work.operation.params["old_container"])


def new_container(work: Work) -> str | None:
    """The container this operation made, also when it could not write that down any more."""
    known = work.operation.facts.get("new_container")
    if known:
        return str(known)
    facts = work.engine.inspect(next_name(work.instance.container_name))
    return facts.id if facts is not None and container.is_ours(work, facts.labels) else None


def new_port(work: Work) -> int:
    """The port the new container publishes: the old one's, unless both are to run at once."""
    return int(work.operation.facts.get("new_port") or work.operation.params["port"] or 0)


def new_image(work: Work) -> str:
    return str(work.operation.facts["new_image"])


def note_old(work: Work) -> str:
    """Know the container to go back to, and that nobody else depends on its being this very one."""
    settled = own_container.settle(work)
    if work.instance.container_id != old_container(work):
        work.journal.remember(old_remade=work.instance.container_id)
        work.journal.write(image_before=work.instance.image_id)
    if not taken_name.is_there(work, old_container(work)):
        raise PermanentError(f"{work.instance.customer_id} has no container; restart it first.")
    _refuse_dependents(work)
    return " ".join(filter(None, [settled, _shared_data(work), "The way back is this container"]))


def _shared_data(work: Work) -> str:
    """Who else mounts the data that is about to be another image's, named before it is."""
    names = sharers_of_data(work.engine, work.instance)
    return f"{', '.join(names)} also mounts its data." if names else ""


def _refuse_dependents(work: Work) -> None:
    """What shares the container's network or processes could never be started again without it."""
    names = work.engine.dependents(old_container(work))
    if names:
        raise PermanentError(shared_with(names))


def shared_with(names: list[str]) -> str:
    """What there is to say of containers that share an instance's network or processes."""
    shown = ", ".join(names)
    return (
        f"{shown} shares the network or processes of this container and could not be started once it is "
        f"replaced: remove {shown} first, and make it anew after the update."
    )


def create_new(work: Work) -> str:
    ports.complete(work)
    generated.complete(work)
    wanted = work.instance.spec(port=new_port(work), image=work.operation.params["image"])
    spec = replace(wanted, name=next_name(wanted.name), image=new_image(work))
    data.make_new(work, wanted)
    made = container.make(work, spec)
    work.journal.remember(new_container=made)
    return made


def remove_new(work: Work) -> None:
    made = new_container(work)
    if made:
        work.engine.remove(made, anonymous_volumes=True)


def rename(work: Work, which: str | None, name: str) -> None:
    """Give a container a name unless it has it or is gone."""
    facts = work.engine.inspect(which) if which else None
    if facts is not None and facts.name != name:
        with suppress(NotFoundOnEngine):
            taken_name.give_name(work, facts.id, name)


def rename_new(work: Work) -> str:
    rename(work, new_container(work), work.instance.container_name)
    return work.instance.container_name


def remove_old(work: Work) -> str:
    work.engine.remove(old_container(work))
    return taken_name.end_of(work, old_container(work))


def see_running(work: Work) -> str:
    """The engine may have crashed since the gate was passed; there is no way back, but no need for one."""
    facts = work.engine.inspect(work.instance.container_id)
    if facts is None:
        return f"its container is gone: {CHECKS_GO_ON}"
    if not was_stopped(facts.state, facts.restart_policy):
        return "it runs" if facts.state == "running" else f"it is {facts.state}: {CHECKS_GO_ON}"
    try:
        container.start(work, facts.id)
        work.last_check = wait_until_healthy(work, work.outside.clock.now())
    except (PermanentError, StepTookTooLong) as error:
        return f"started once more: {error} {CHECKS_GO_ON.capitalize()}."
    return "started once more"


def explain(work: Work) -> None:
    """Keep the failed container's last words and its end; it will be gone."""
    made = new_container(work)
    if made:
        note_failed(work, made)


@contextmanager
def blaming_image(work: Work) -> Iterator[None]:
    """A container that can't be started or fails its gate speaks against the image; a taken port does not."""
    try:
        yield
    except PermanentError as error:
        is_its = whose(error) is Whose.INSTANCE and not isinstance(error, NOT_THE_IMAGES)
        work.journal.remember(image_failed=is_its)
        raise


def remember_bad_image(work: Work) -> None:
    """An image that failed is not tried again unasked; trouble of the host is none of the image.

    Nor are new settings that failed with the image that ran well before.
    """
    bad, instance = new_image(work), work.instance
    known = (*instance.failed_images, instance.image_id)
    if work.operation.facts.get("image_failed") and bad not in known:
        instance.failed_images = [*instance.failed_images, bad]
        work.save("failed_images")


def new_request(work: Work) -> CheckRequest:
    """How to ask the new container: by its own id, at the port it publishes."""
    made, instance = str(new_container(work)), work.instance
    url = instance.health_url_at(new_port(work))
    return structs.replace(request_for(instance, RUNNING).of_container(made), url=url)


def gate(work: Work) -> str:
    since = started_at(work) or work.outside.clock.now()
    with blaming_image(work):
        check = wait_until_healthy(work, since, new_request(work))
    note_run(work, str(new_container(work)))
    return f"healthy after {(check.seen.finished_at - since).total_seconds():.1f} s"


def keep_watch(work: Work) -> str:
    since = started_at(work) or work.outside.clock.now()
    with blaming_image(work):
        work.last_check = watch(work, since, new_request(work))
    return f"still healthy after {(work.last_check.seen.finished_at - since).total_seconds():.0f} s"


def succeeded(work: Work) -> None:
    """The container in service passed its gate; an update that changed nothing says nothing new."""
    if work.operation.facts.get("unchanged"):
        return
    note_healthy(work)


def write_down(work: Work) -> str:
    instance = work.instance
    container.note_made(instance, str(new_container(work)), instance.spec())
    instance.image_id = new_image(work)
    instance.image_digest = work.operation.facts.get("new_digest", "")
    instance.image = work.operation.params["image"] or instance.image
    approval.keep(work, instance.image_ref)
    instance.port = new_port(work) or instance.port
    instance.failed_images = [image for image in instance.failed_images if image != instance.image_id]
    work.save(*OF_THE_NEW)
    ports.release_unpublished(work)
    forget_replaced(work, instance.container_id)
    return "the new container is the instance's now"


NOTE_OLD = "note old"
CREATE_NEW = Step("create next", create_new, undo=remove_new)
GATE = Step("wait until healthy", gate, limit=wait_limit)
WATCH = Step("watch", keep_watch, limit=wait_limit)
WRITE_DOWN = Step("write down", write_down, final=True)
REMOVE_OLD = Step("remove old", remove_old, final=True)
SEE_RUNNING = Step("see running", see_running, final=True, limit=wait_limit)
