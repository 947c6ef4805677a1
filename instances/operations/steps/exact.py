"""The exact image an instance runs: known by digest, so that remaking never means updating."""

from __future__ import annotations

from instances.containers.facts import ImageFacts
from instances.errors import ImageMissing, NotFoundOnEngine
from instances.operations.procedure import Work

_HUB = ("docker.io/library/", "docker.io/", "index.docker.io/")


def digest_of(image: ImageFacts, ref: str) -> str:
    """Where a registry has exactly this image (`repository@sha256:…`), by preference where `ref` is.

    Empty for an image that is in no registry.
    """
    own = [digest for digest in image.digests if _repository(digest) == _repository(ref)]
    return next(iter([*own, *image.digests]), "")


def _repository(ref: str) -> str:
    name = ref.partition("@")[0]
    path, colon, tag = name.rpartition(":")
    repository = path if colon and "/" not in tag else name
    for prefix in _HUB:
        repository = repository.removeprefix(prefix)
    return repository


def image_to_run(work: Work) -> str:
    """The id of the exact image the lost container ran; fetched by digest when the engine lost it.

    Raises ImageMissing where it can't be had: a tag may name another image by now.
    """
    instance = work.instance
    known = work.engine.image(instance.image_id) if instance.image_id else None
    if known is None:
        known = _fetched(work)
    digest = instance.image_digest or digest_of(known, instance.image_ref)
    if digest != instance.image_digest:
        instance.image_digest = digest
        work.save("image_digest")
    return known.id


def _fetched(work: Work) -> ImageFacts:
    instance = work.instance
    if not instance.image_digest:
        raise ImageMissing(_gone(work, "and no registry is known to have it"))
    try:
        image = work.engine.pull(instance.image_digest)
    except NotFoundOnEngine:
        raise ImageMissing(_gone(work, f"and its registry has no {instance.image_digest}")) from None
    if instance.image_id and image.id != instance.image_id:
        raise ImageMissing(_gone(work, f"and {instance.image_digest} is another one"))
    return image


def _gone(work: Work, why: str) -> str:
    instance = work.instance
    return (
        f"The image that {instance.customer_id} ran, {instance.image_id[:19] or 'not known'}, is gone from "
        f"host {instance.host.name}, {why}. Bring exactly this image back to the host, then restart."
    )
