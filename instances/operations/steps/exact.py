"""The exact image an instance runs: known by digest, so that remaking never means updating."""

from __future__ import annotations

from instances.containers.facts import ImageFacts
from instances.containers.image_names import repository
from instances.errors import ImageMissing, NotFoundOnEngine
from instances.operations.procedure import Work
from instances.operations.steps import approval
from instances.operations.steps.fetch import fetch


def digest_of(image: ImageFacts, ref: str) -> str:
    """Where a registry has exactly this image (`repository@sha256:…`), by preference where `ref` is.

    Empty for an image that is in no registry.
    """
    own = [digest for digest in image.digests if repository(digest) == repository(ref)]
    return next(iter([*own, *image.digests]), "")


def image_to_run(work: Work) -> str:
    """The id of the exact image the lost container ran; fetched by digest when the engine lost it.

    Raises ImageMissing where it can't be had: a tag may name another image by now.
    """
    instance = work.instance
    known = work.engine.image(instance.image_id) if instance.image_id else None
    if known is None:
        known = _fetched(work)
        _note_id(work, known)
    digest = instance.image_digest or digest_of(known, instance.image_ref)
    if digest != instance.image_digest:
        instance.image_digest = digest
        work.save("image_digest")
    return known.id


def _fetched(work: Work) -> ImageFacts:
    instance = work.instance
    if not instance.image_digest:
        raise ImageMissing(_gone(work, "and no registry is known to have it"))
    if not approval.may_fetch(work, instance.image_digest):
        raise ImageMissing(_gone(work, f"and {instance.image_digest} is outside of what its plan may run"))
    try:
        image = fetch(work, instance.image_digest)
    except NotFoundOnEngine:
        raise ImageMissing(_gone(work, f"and its registry has no {instance.image_digest}")) from None
    is_same = image.id == instance.image_id or _is_known_by(image, instance.image_digest)
    if instance.image_id and not is_same:
        raise ImageMissing(_gone(work, f"and {instance.image_digest} is another one"))
    return image


def _is_known_by(image: ImageFacts, digest: str) -> bool:
    return any(known.partition("@")[2] == digest.partition("@")[2] for known in image.digests)


def _note_id(work: Work, image: ImageFacts) -> None:
    """Engines that keep images in another way call the same one by another id."""
    if image.id != work.instance.image_id:
        approval.follow(work, image.id)
        work.instance.image_id = image.id
        work.save("image_id", "approved_image")


def _gone(work: Work, why: str) -> str:
    instance = work.instance
    return (
        f"The image that {instance.customer_id} ran, {instance.image_id[:19] or 'not known'}, is gone from "
        f"host {instance.host.name}, {why}. Bring exactly this image back to the host, then restart."
    )
