"""Seeing to it that what an operation works on is the instance's own container, under its own name."""

from __future__ import annotations

from collections.abc import Iterator

from instances.containers.facts import ContainerFacts
from instances.containers.identity import REPLACED
from instances.errors import NotOurs, PermanentError
from instances.incidents.findings import FindingChange, apply_findings
from instances.operations.find_own import find_own, what_to_do
from instances.operations.image_choice import standing
from instances.operations.procedure import Work
from instances.operations.steps import approval, container, exact, ports, taken_name
from instances.operations.steps.former_values import forget_replaced


def settle(work: Work, *, by_name: bool = True) -> str:
    """Take over what was made in the place of the instance's container, and give it its name back.

    Returns what was done, for people, or nothing. Raises NotOurs when a stranger's container stands
    in its place, and PermanentError when another one has its name and the name is needed (`by_name`).
    """
    instance = work.instance
    found = find_own(work.engine, instance)
    if not found.finding:
        return ""
    if found.aside or found.container is None:
        raise NotOurs(what_to_do(found, instance))
    if found.stranger is not None and by_name:
        raise PermanentError(what_to_do(found, instance))
    done = [found.sentence]
    if found.left_behind is not None:
        _remove_left_behind(work, found.left_behind.id)
    if found.finding == REPLACED:
        done += _take_over(work, found.container.id)
    if found.stranger is None and found.container.name != instance.container_name:
        taken_name.give_name(work, found.container.id, instance.container_name)
        done.append(f"It is {instance.container_name} again.")
    if found.stranger is None:
        apply_findings([FindingChange(instance.pk, "", "")], work.outside.clock.now())
    return " ".join(done)


def _remove_left_behind(work: Work, container_id: str) -> None:
    facts = work.engine.inspect(container_id)
    if facts is not None:
        container.see_left_behind(work, facts)
        work.engine.stop(facts.id, work.instance.stop_timeout)
        container.remove_left_behind(work, facts)


def _follow_port(work: Work, taken: ContainerFacts) -> Iterator[str]:
    """Whoever made it, or an update that the database has forgotten, may have given it another port."""
    instance = work.instance
    _, number = taken.ports.get(instance.container_port, ("", 0))
    if instance.adopted is None and number not in (0, instance.port) and ports.is_free_for(instance, number):
        ports.follow(work, number)
        yield f"It is on port {number}."


def _take_over(work: Work, container_id: str) -> list[str]:
    """From now on this is the instance's container, on the image that it runs; sentences for people."""
    instance, facts = work.instance, work.engine.inspect(container_id)
    if facts is None:
        raise PermanentError(f"The container of {instance.customer_id} was being changed from outside.")
    moved = list(_follow_port(work, facts))  # first: once the row has the container nobody comes here again
    image = work.engine.image(facts.image_id)
    instance.container_id, instance.image_id = facts.id, facts.image_id
    instance.image_digest = exact.digest_of(image, instance.image_ref) if image else ""
    # Whoever makes containers on the host may run there what he likes; a reference is not allowed by that.
    ref, now = standing(instance).get("ref", ""), work.outside.clock.now().isoformat()
    instance.approved_image = approval.approved(facts.image_id, ref, instance.image_digest, "host", now)
    if instance.adopted is None:
        main = f"{instance.container_port}/tcp"
        further = {port: number for port, (_, number) in facts.published.items() if port != main}
        instance.made_with = container.made_with(instance, further)
    work.save("container_id", "image_id", "image_digest", "approved_image", "made_with")
    forget_replaced(work, facts.id)
    return ["It was taken over.", *moved]
