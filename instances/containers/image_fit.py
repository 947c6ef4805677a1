"""Can a plan run this image: pure rules, asked before anything of a customer is touched."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from instances.containers.facts import EngineFacts, ImageFacts
from instances.containers.hardening import hardened, is_root
from instances.containers.options import RESTRICTED
from instances.containers.spec import PlanSpec

ALSO_RUNS = {"amd64": "386", "arm64": "arm"}


def problems(
    image: ImageFacts, plan: PlanSpec, engine: EngineFacts, kept: Collection[str] | None = None
) -> Iterator[str]:
    """One sentence for each reason not to run `image` for customers of `plan` on `engine`.

    `kept` are the paths whose content outlives a container, where they are not the plan's. A volume
    the image declares and that is not covered would get a fresh anonymous volume at each
    replacement: the customer's data would seem gone.
    """
    covered = {path.rstrip("/") for path in (covered_by(plan) if kept is None else kept)}
    # A volume below a kept path would still be a volume of its own.
    uncovered = sorted(path for path in image.volumes if path.rstrip("/") not in covered)
    if uncovered:
        yield f"The image declares a volume at {', '.join(uncovered)}, which plan {plan.name} does not keep."
    if plan.options.hardening == RESTRICTED and is_root(plan.options.user or image.options.get("user", "")):
        yield f"The image runs as root, which plan {plan.name} refuses (hardening restricted): say its user."
    if plan.asks_docker and not image.has_healthcheck:
        yield f"The image has no HEALTHCHECK, which plan {plan.name} asks Docker for."
    if image.architecture and engine.architecture and not _may_run(image.architecture, engine.architecture):
        yield f"The image is built for {image.architecture}, the host is {engine.architecture}."


def _may_run(image: str, machine: str) -> bool:
    """Most 64-bit machines run 32-bit programs; whether this one does is seen when it is tried."""
    return image in (machine, ALSO_RUNS.get(machine))


def covered_by(plan: PlanSpec) -> set[str]:
    """Paths at which a container of the plan has something mounted."""
    paths = frozenset(plan.volumes.values())
    return {*paths, *hardened(plan.options, paths).tmpfs}


def exposed_elsewhere(image: ImageFacts, plan: PlanSpec) -> str:
    """A sentence where the image names other ports than the plan's, else nothing.

    What an image exposes is no more than a word of whoever made it: the program may listen elsewhere, and
    whether it does is seen when it is asked.
    """
    if not image.exposed_ports or plan.container_port in image.exposed_ports:
        return ""
    exposed = ", ".join(map(str, image.exposed_ports))
    return f"The image exposes port {exposed}, plan {plan.name} publishes {plan.container_port}."
