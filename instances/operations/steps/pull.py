"""Fetching an image and seeing that it fits, before anything of a customer is touched."""

from __future__ import annotations

from datetime import timedelta

from instances.containers import image_fit, made_anew
from instances.containers.facts import ImageFacts
from instances.containers.host_fit import LEAST_FREE_BYTES
from instances.containers.image_names import names_registry
from instances.errors import (
    EngineUnreachable,
    LoginRefused,
    NotFoundOnEngine,
    OutOfReachError,
    PermanentError,
)
from instances.lib.clock import AHEAD
from instances.models import Operation
from instances.operations.attempts import NothingToDo
from instances.operations.host_disk import free_bytes
from instances.operations.procedure import Step, Work, pull_limit
from instances.operations.steps import approval, data, exact, fetch, generated
from instances.operations.steps.replace import new_image

TOLD = "told"  # the parameter that names an update of another instance whose registry has just been asked
TOLD_FOR = timedelta(minutes=5)  # how long its answer is good for this one


def pull(work: Work) -> str:
    instance = work.instance
    _refuse_full_disk(work)
    ref = work.operation.params["image"] or instance.image_ref
    approval.approve(work, ref)
    image = _told(work, ref) or _fetch(work, ref)
    noted = {"new_image": image.id, "new_digest": exact.digest_of(image, ref)}
    facts = {**work.operation.facts, **approval.signed(work, image.id, ref), **noted}
    work.journal.write(image_after=image.id, facts=facts)
    if not _is_new(work, image):
        _keep_reference(work)
        work.journal.remember(unchanged=True)
        raise NothingToDo(f"{ref} is what runs already")
    if image.id in instance.failed_images and not work.operation.params["image"]:
        raise PermanentError(
            f"{ref} is an image that failed for {instance.customer_id} before; name it to try it again."
        )
    return image.id


def _is_new(work: Work, image: ImageFacts) -> bool:
    """Whether a container made of it now would be another one than what runs."""
    return image.id != work.instance.image_id or _outdated(work)


def _outdated(work: Work) -> bool:
    """Whether the container was made from earlier settings of the plan or the customer."""
    instance = work.instance
    generated.complete(work)
    facts = work.engine.inspect(instance.container_id)
    if facts is None:
        return False
    image = work.engine.image(facts.image_id)
    return made_anew.must_be(instance.spec(), facts, instance.image_id, image)


def _keep_reference(work: Work) -> None:
    """What is named and runs already is followed from now on all the same."""
    named, instance = work.operation.params["image"], work.instance
    if named and named != instance.image:
        instance.image = named
        approval.keep(work, named)
        work.save("image", "approved_image")


def _told(work: Work, ref: str) -> ImageFacts | None:
    """What the registry answered a moment ago to the update of another instance on the same host."""
    named, now = work.operation.params.get(TOLD), work.outside.clock.now()
    young = Operation.objects.filter(host=work.instance.host, created_at__range=(now - TOLD_FOR, now + AHEAD))
    other = young.filter(pk=named).first() if named else None
    fetched = approval.fetched_by(other) if other is not None else {}
    return work.engine.image(fetched["id"]) if fetched.get("ref") == ref else None


def _fetch(work: Work, ref: str) -> ImageFacts:
    """The newest image of a reference. One that names no registry may have been built on the host, and has
    no newer one then.

    Some engines tell a digest of those as well. Where their host reaches no registry, what is new there is
    taken; whether anything else is new is not known.
    """
    local = None if names_registry(ref) else work.engine.image(ref)
    if local is not None and not local.digests:
        return local
    try:
        return fetch.fetch(work, ref)
    except (NotFoundOnEngine, LoginRefused):
        if local is None:
            raise
    except OutOfReachError as error:
        if local is None or isinstance(error, EngineUnreachable) or not _is_new(work, local):
            raise
    return local


def _refuse_full_disk(work: Work) -> None:
    """An engine on this machine needs room for the image; another machine's disk can't be asked."""
    host = work.instance.host
    free = free_bytes(host, work.engine.facts().root)
    if free is not None and free < LEAST_FREE_BYTES:
        raise PermanentError(f"Host {host.name} has less than 512 MB of disk left for images.")


def verify(work: Work) -> str:
    if work.operation.facts.get("unchanged"):
        raise NothingToDo("nothing to do")  # found by a process that was killed before it could say so
    said = must_fit(work, new_image(work))
    data.refuse_loss(work)
    return said


def must_fit(work: Work, image_id: str) -> str:
    """Say how the image fits plan and host. Raises PermanentError where the plan can't run it."""
    image = work.engine.image(image_id)
    if image is None:
        raise PermanentError("The image vanished from the host right after it was pulled.")
    instance = work.instance
    plan = instance.plan_in_force
    found = list(image_fit.problems(image, plan, work.engine.facts(), instance.mount_points))
    if found:
        raise PermanentError(" ".join(found))
    return " ".join(["fits plan and host.", image_fit.exposed_elsewhere(image, plan)]).strip(". ")


PULL = Step("pull", pull, limit=pull_limit)
VERIFY = Step("verify image", verify)
