"""Can a plan run this image: pure rules, asked before anything of a customer is touched."""

from __future__ import annotations

from collections.abc import Iterator

from instances.engine.port import EngineFacts, ImageFacts
from instances.spec import PlanSpec


def problems(image: ImageFacts, plan: PlanSpec, engine: EngineFacts) -> Iterator[str]:
    """One sentence for each reason not to run `image` for customers of `plan` on `engine`.

    A volume the image declares and the plan does not cover would get a fresh anonymous volume at
    each replacement: the customer's data would seem gone.
    """
    uncovered = sorted(path for path in image.volumes if not _covers(plan.data_path, path))
    if uncovered:
        yield f"The image declares a volume at {', '.join(uncovered)}, which plan {plan.name} does not keep."
    if image.architecture and engine.architecture and image.architecture != engine.architecture:
        yield f"The image is built for {image.architecture}, the host is {engine.architecture}."
    if image.exposed_ports and plan.container_port not in image.exposed_ports:
        exposed = ", ".join(map(str, image.exposed_ports))
        yield f"The image exposes port {exposed}, plan {plan.name} publishes {plan.container_port}."


def _covers(data_path: str | None, path: str) -> bool:
    """A volume at the data path itself; one below it would still be a volume of its own."""
    return data_path is not None and path.rstrip("/") == data_path.rstrip("/")
