"""The owner of new volumes, for images whose program is not root."""

from __future__ import annotations

from datetime import timedelta

from instances.containers.spec import (
    EXPIRES_LABEL,
    MANAGED_LABEL,
    OPERATION_LABEL,
    ContainerSpec,
    operation_of,
)
from instances.models.installation import own_label
from instances.operations.procedure import Work
from instances.operations.steps import taken_name

LIFETIME = timedelta(minutes=10)


def give_new_volumes(work: Work, spec: ContainerSpec) -> None:
    """Give those volumes of a container that were made for it to the plan's `data_owner`.

    To be done when the container was made, which copies what its image has there with the image's owner,
    and before it is started. A volume that was there before is the customer's and left as it is. One that a
    failed operation made, and that no other container has, counts as made now.
    """
    owner = spec.options.data_owner if spec.raw is None else ""
    if not owner:
        return
    user, _, group = owner.partition(":")
    expires = (work.outside.clock.now() + LIFETIME).isoformat()
    operation = {OPERATION_LABEL: str(work.operation.pk)}
    marks = {MANAGED_LABEL: "true", EXPIRES_LABEL: expires, **own_label(), **operation}
    for name in spec.volumes:
        if _is_new(work, name, spec.name):
            _give(work, name, (int(user), int(group)), spec.image, marks)


def _give(work: Work, volume: str, owner: tuple[int, int], image: str, marks: dict[str, str]) -> None:
    """Whoever was killed while an engine made what holds the volume has left its name taken for a moment."""

    def given() -> str:
        work.engine.give_volume(volume, owner, image, marks)
        return volume

    taken_name.made(work, given, earlier=lambda: None)


def _is_new(work: Work, volume: str, container: str) -> bool:
    made_by = operation_of(work.engine.volume_labels(volume) or {})
    if made_by is None or made_by == work.operation.pk:
        return made_by is not None
    in_vain = work.instance.operations.filter(pk=made_by).exclude(status="succeeded")
    return in_vain.exists() and set(work.engine.volume_users(volume)) <= {container}
