"""The policy of images as the worker asks it: again, of the database and of what was signed, at each create.

A row alone gets no image onto a host, whoever wrote it.
"""

from __future__ import annotations

from typing import Any

from instances.access.permits import permit, permitted
from instances.containers import host_access
from instances.containers.image_names import repository
from instances.containers.spec import ContainerSpec
from instances.engine.payloads import create_arguments
from instances.errors import NotFoundOnEngine, PermanentError
from instances.models import Operation
from instances.operations.image_choice import said_of, standing
from instances.operations.procedure import Work

FACT = "approved_image"


def approve(work: Work, ref: str) -> None:
    """See that the operation may run what a reference names. Raises PermanentError."""
    _approver(work, ref)


def signed(work: Work, image_id: str, ref: str) -> dict[str, Any]:
    """The fact that this operation may make containers of the image, which the reference names now."""
    said = {"id": image_id, "ref": ref, "by": _approver(work, ref)}
    return {FACT: permit(_purpose(work.operation), said)}


def keep(work: Work, ref: str) -> None:
    """Have the instance remember what it runs, and that this was allowed; the caller writes the column.

    What was allowed when the operation fetched it stays so, whatever the plan says by now.
    """
    instance, fetched, now = work.instance, fetched_by(work.operation), work.outside.clock.now()
    same = (fetched.get("id"), fetched.get("ref")) == (instance.image_id, ref)
    by = str(fetched["by"]) if same else _approver(work, ref)
    instance.approved_image = approved(instance.image_id, ref, instance.image_digest, by, now.isoformat())


def follow(work: Work, image_id: str) -> None:
    """What may run by its digest may do so under another id of its engine; the caller writes the column."""
    instance, known = work.instance, standing(work.instance)
    if known and known.get("digest") == instance.image_digest:
        instance.approved_image = {**known, "id": image_id}


def approved(image_id: str, ref: str, digest: str, by: str, at: str) -> dict[str, str]:
    """What is kept of an image that an instance may run."""
    return {"id": image_id, "ref": ref, "digest": digest, "by": by, "at": at}


def approved_id(work: Work, image: str) -> str:
    """The id of the image a container is about to be made of. Raises PermanentError for one that may not be.

    An image may be used that this operation fetched within the policy, that a worker noted as the one the
    instance runs, or that the engine knows by a name within the policy.
    """
    found = work.engine.describe_image(image)
    if found is None:
        raise NotFoundOnEngine(f"Host {work.instance.host.name} has no image {image}.")
    image_id = str(found["Id"])
    if image_id in (fetched_by(work.operation).get("id"), standing(work.instance).get("id")):
        return image_id
    names = [*(found.get("RepoTags") or []), *(found.get("RepoDigests") or [])]
    if not work.instance.plan.image_policy.allows_any(names):
        shown = next(iter(names), image_id[:19])
        raise PermanentError(work.instance.plan.image_policy.refusal(shown))
    return image_id


def see_host_access(work: Work, spec: ContainerSpec) -> None:
    """See that what a container is about to be made with reaches its host no further than was accepted.

    The plan's keys are its word for what they say; all else was accepted at adoption. Raises PermanentError.
    """
    items = host_access.reach(create_arguments(spec)["config"]["HostConfig"])
    known = (work.instance.reaches_host or {}).get("items", []) if spec.raw else host_access.by_plan(items)
    left = host_access.unaccepted(items, known)
    if left:
        raise PermanentError(
            f"The container of {work.instance.customer_id} would reach its host ({', '.join(left)}), which "
            "nobody accepted: it is not made."
        )


def may_fetch(work: Work, digest: str) -> bool:
    """Whether the digest of what the instance ran is a place it may be fetched from again."""
    known = standing(work.instance)
    if known and digest == known.get("digest"):
        return True
    own = bool(known) and repository(digest) == repository(known["ref"])
    return own or work.instance.plan.image_policy.allows(digest)


def _approver(work: Work, ref: str) -> str:
    plan = work.instance.plan
    if plan.image_policy.allows(ref):
        return f"plan {plan.name}"
    known = (standing(work.instance), said_of(work.operation.pk, work.operation.params))
    for said in known:
        if said.get("ref") == ref:
            return str(said["by"])
    raise PermanentError(plan.image_policy.refusal(ref))


def fetched_by(operation: Operation) -> dict[str, Any]:
    """The id of the image that an operation fetched, and the reference that named it; else nothing."""
    return permitted(operation.facts.get(FACT), _purpose(operation)) or {}


def _purpose(operation: Operation) -> str:
    return f"image made of by operation {operation.pk}"
