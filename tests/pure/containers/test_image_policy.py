"""Which images a plan's containers may be made of."""

from __future__ import annotations

import pytest

from instances.containers.image_policy import ImagePolicy, outside

OWN, A, B = "registry.example.com/agent", "sha256:" + "a" * 64, "sha256:" + "b" * 64

CASES = [
    # image of the plan, its images, reference, allowed
    (f"{OWN}:1", [], f"{OWN}:2", True),
    (f"{OWN}:1", [], OWN, True),
    (f"{OWN}:1", [], f"{OWN}@{A}", True),
    (f"{OWN}:1", [], f"{OWN}/evil:1", False),
    (f"{OWN}:1", [], f"{OWN}-evil:1", False),
    (f"{OWN}:1", [], "agent:1", False),
    (f"{OWN}:1", [], "registry.example.com:5000/agent", False),
    (f"{OWN}:1", [], A, False),
    (f"{OWN}:1", [], "a" * 64, False),
    ("nginx:1", [], "docker.io/library/nginx:2", True),
    ("nginx:1", [], "index.docker.io/library/nginx", True),
    ("nginx:1", [], "somebody/nginx", False),
    ("localhost:5000/agent:1", [], "localhost:5000/agent:2", True),
    ("", [], "nginx", False),
    ("", [OWN], f"{OWN}:7", True),
    (f"{OWN}:1", [f"{OWN}:1", "nginx"], f"{OWN}:2", False),
    (f"{OWN}:1", [f"{OWN}:1", "nginx"], "nginx:alpine", True),
    (f"{OWN}:1", [f"{OWN}:1"], f"{OWN}:1@{A}", False),
    (OWN, [f"{OWN}:latest"], OWN, True),
    (f"{OWN}@{A}", [f"{OWN}@{A}"], f"{OWN}@{A}", True),
    (f"{OWN}@{A}", [f"{OWN}@{A}"], f"{OWN}:1@{A}", True),
    (f"{OWN}@{A}", [f"{OWN}@{A}"], f"{OWN}@{B}", False),
    (f"{OWN}@{A}", [f"{OWN}@{A}"], f"{OWN}:1", False),
    (A, [], A, False),
    (A, [A], A, True),
]


@pytest.mark.parametrize(("image", "images", "ref", "allowed"), CASES)
def test_a_reference_is_within_the_policy(image: str, images: list[str], ref: str, allowed: bool) -> None:
    assert ImagePolicy("pro", image, tuple(images)).allows(ref) is allowed


def test_a_refusal_says_what_would_do() -> None:
    told = ImagePolicy("pro", f"{OWN}:1").refusal("evil:1")
    assert told.startswith(f"The image evil:1 is outside of what plan pro may run: it allows {OWN}.")
    assert "names no image" in ImagePolicy("pro", "").refusal("evil:1")


def test_a_plan_whose_own_image_is_refused_is_found() -> None:
    assert outside(f"{OWN}:2", [f"{OWN}:1"]) == f"images does not allow the plan's own image {OWN}:2"
    assert outside(f"{OWN}:2", [OWN]) == outside("", ["nginx"]) == ""
