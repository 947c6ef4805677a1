"""Permits: texts that only processes with the encryption keys can have made, each good for one thing.

Whoever can write into the database alone can't make one, and one that was made for something else opens
nothing.
"""

from __future__ import annotations

from typing import Any

from instances.errors import UnreadableSecret
from instances.models.encrypted import seal, unseal

Said = dict[str, Any]


def permit(purpose: str, said: Said) -> str:
    """What was allowed, by whom, for this one purpose; holds no secret, and nobody else can write it."""
    return seal(said, _place(purpose))


def permitted(text: object, purpose: str) -> Said | None:
    """What a permit for this purpose says; None for anything that is none."""
    try:
        said = unseal(text, _place(purpose)) if isinstance(text, str) else None
    except (UnreadableSecret, ValueError):
        return None
    return said if isinstance(said, dict) else None


def _place(purpose: str) -> str:
    return f"permit:{purpose}"
