"""Whether a container has to be made anew to be what it should be. Pure."""

from __future__ import annotations

from instances.containers import drift, left_over, option_drift
from instances.containers.facts import ContainerFacts, ImageFacts
from instances.containers.spec import ContainerSpec, is_outdated

# What of a container can only be changed by making it anew; `validate` says the same of it.
MADE_ANEW = frozenset(
    {
        *("cpus", "memory", "pids", "ports", "mounts", "labels", "network"),
        *("security_opt", "privileges", "environment"),
        *option_drift.COMPARED,
    }
)


def must_be(spec: ContainerSpec, facts: ContainerFacts, image_id: str, image: ImageFacts | None) -> bool:
    """Whether it was made from earlier settings of the plan or the customer that differ from these.

    `image` is the one it was made from. An adopted container keeps what it came with, but for the customer's
    environment.
    """
    if any(left_over.of_earlier_settings(spec, facts, image).values()):
        return True
    if spec.raw is not None:
        return not drift.environment(spec, facts).ok
    if is_outdated(spec, facts.labels) and not option_drift.all_told(facts.options):
        return True  # for all anybody can tell
    found = drift.drift(spec, facts, image_id, image)
    return drift.is_to_move(spec, facts) or any(not each.ok for each in found if each.name in MADE_ANEW)
