"""Who is behind a message of our own: signed, because anybody who reaches the broker can send one."""

from __future__ import annotations

from instances.access.permits import permit, permitted
from instances.operations.requester import Requester


def slip(task_id: object, asked: Requester) -> str:
    """What a message with this id carries, so that a worker knows who asked and what they may."""
    said = {
        "by": asked.requested_by,
        "reason": asked.reason,
        "surface": asked.surface,
        "address": asked.address,
        "may_choose_image": asked.may_choose_image,
    }
    return permit(_purpose(task_id), said)


def requester_of(text: object, task_id: object) -> Requester | None:
    """Who asked; None for a text that was not signed for this message."""
    said = permitted(text, _purpose(task_id))
    if said is None:
        return None
    return Requester(
        said["by"],
        said["reason"],
        None,
        may_choose_image=said["may_choose_image"],
        surface=said["surface"],
        address=said["address"],
    )


def _purpose(task_id: object) -> str:
    return f"order of message {task_id}"
