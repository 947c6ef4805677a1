"""Which images a plan's containers may be made of. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from instances.containers.image_names import LATEST, is_id, parts_of, repository


@dataclass(frozen=True)
class ImagePolicy:
    """What a plan says: `images` are repositories, with every tag and digest, or one tag or digest of one.

    Without a word it is the repository of the plan's own image; a plan without an image allows none.
    """

    plan: str
    image: str
    images: tuple[str, ...] = ()

    @property
    def entries(self) -> tuple[str, ...]:
        return self.images or ((parts_of(self.image)[0],) if self.image else ())

    def allows(self, ref: str) -> bool:
        """Whether a reference is within the policy."""
        return any(covers(entry, ref) for entry in self.entries)

    def allows_any(self, names: Iterable[str]) -> bool:
        """Whether one of the names an engine knows an image by is."""
        return any(map(self.allows, names))

    def refusal(self, ref: str) -> str:
        """Why not, as a sentence that says what would do."""
        within = f"allows {', '.join(self.entries)}" if self.entries else "names no image that may be run"
        return (
            f"The image {ref} is outside of what plan {self.plan} may run: it {within}. "
            "Choosing another one takes the permission to choose images, or a token of scope admin."
        )


def outside(image: str, images: Sequence[str]) -> str:
    """What is wrong with a plan whose own image its policy refuses; else empty."""
    if not image or ImagePolicy("", image, tuple(images)).allows(image):
        return ""
    return f"images does not allow the plan's own image {image}"


def covers(entry: str, ref: str) -> bool:
    """Whether what a policy names is, or is the whole of, what a reference names.

    A digest beside a tag is what an engine obeys, so that no tag covers it.
    """
    if is_id(entry) or is_id(ref):
        return entry == ref
    if repository(entry) != repository(ref):
        return False
    (_, tag, digest), (_, wanted_tag, wanted_digest) = parts_of(entry), parts_of(ref)
    if digest:
        return digest == wanted_digest
    return not tag or (not wanted_digest and tag == (wanted_tag or LATEST))
