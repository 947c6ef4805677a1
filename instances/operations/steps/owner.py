"""The owner of new volumes, for images whose program is not root."""

from __future__ import annotations

from datetime import timedelta

from instances.containers.spec import EXPIRES_LABEL, MANAGED_LABEL, OPERATION_LABEL, ContainerSpec
from instances.operations.procedure import Work

LIFETIME = timedelta(minutes=10)


def give_new_volumes(work: Work, spec: ContainerSpec) -> None:
    """Give those volumes of a container that this very operation made to the plan's `data_owner`.

    To be done when the container was made, which copies what its image has there with the image's owner,
    and before it is started. A volume that was there before is the customer's, and left as it is.
    """
    owner = spec.options.data_owner if spec.raw is None else ""
    if not owner:
        return
    user, _, group = owner.partition(":")
    own = str(work.operation.pk)
    expires = (work.outside.clock.now() + LIFETIME).isoformat()
    marks = {MANAGED_LABEL: "true", EXPIRES_LABEL: expires, OPERATION_LABEL: own}
    for name in spec.volumes:
        if (work.engine.volume_labels(name) or {}).get(OPERATION_LABEL) == own:
            work.engine.give_volume(name, (int(user), int(group)), spec.image, marks)
