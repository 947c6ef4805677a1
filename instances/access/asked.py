"""What was asked for under a request id, as a mark: it tells equal requests from others, and no more.

It is made with the encryption keys, because what was asked for may hold secrets.
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Mapping
from typing import Any

from django.conf import settings

OTHER_ARGUMENTS = "with other arguments: give what differs an id of its own"
_NOTED = re.compile(r" \[asked as ([0-9a-f]{8}-[0-9a-f]{32})\]$")


def mark(asked: Mapping[str, Any]) -> str:
    """The mark of a request. What is left out counts as what says nothing: None, False, or empty."""
    return _mark(settings.ENCRYPTION_KEYS[0], asked)


def differs(kept: str, asked: Mapping[str, Any]) -> bool:
    """Whether a mark is that of another request; one whose key is gone, and none at all, tell nothing."""
    key = next((key for key in settings.ENCRYPTION_KEYS if kept.startswith(_name(key))), None)
    return key is not None and not hmac.compare_digest(kept, _mark(key, asked))


def noted(outcome: str, asked: Mapping[str, Any], longest: int) -> str:
    """The outcome as the audit log keeps it together with the mark, in as many characters."""
    words = f" [asked as {mark(asked)}]"
    return outcome[: longest - len(words)] + words


def parted(outcome: str) -> tuple[str, str]:
    """The outcome alone, and the mark that was noted with it, if one was."""
    found = _NOTED.search(outcome)
    return (outcome[: found.start()], found[1]) if found else (outcome, "")


def _mark(key: bytes, asked: Mapping[str, Any]) -> str:
    said = {name: value for name, value in asked.items() if value not in (None, False, "", (), [], {})}
    return _name(key) + _signed(key, json.dumps(said, sort_keys=True, default=str))[:32]


def _name(key: bytes) -> str:
    return f"{_signed(key, 'name')[:8]}-"


def _signed(key: bytes, text: str) -> str:
    return hmac.new(key, f"dockmgr.request:{text}".encode(), "sha256").hexdigest()
