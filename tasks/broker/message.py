"""A message as kombu keeps it in Redis, as far as a check asks for more than its tag."""

from __future__ import annotations

import json
from base64 import b64decode
from datetime import UTC, datetime
from functools import lru_cache

import msgspec
from msgspec import Struct

from tasks.broker.foreign import HEADER


class Properties(Struct):
    delivery_tag: str
    body_encoding: str | None = None


class Headers(Struct, rename={"installation": HEADER}):
    """`eta` and `expires` are moments as text, `installation` is whose the message is."""

    task: str
    id: str | None = None
    eta: str | None = None
    expires: str | None = None
    ignore_result: bool | None = None
    redelivered: bool | None = None
    installation: str | None = None


class Message(Struct, rename={"content_type": "content-type"}):
    body: str
    content_type: str
    headers: Headers
    properties: Properties

    def content(self) -> str | bytes:
        """What was sent. Raises ValueError for what is not encoded as it says."""
        return b64decode(self.body) if self.properties.body_encoding == "base64" else self.body


_MESSAGE = msgspec.json.Decoder(Message)


def read(raw: bytes) -> tuple[str, Message | None] | None:
    """The tag of a message and, if it is one of the usual form, the message; None for what has no tag."""
    try:
        message = _MESSAGE.decode(raw)
    except (ValueError, RecursionError):
        tag = _tag(raw)
        return None if tag is None else (tag, None)
    return message.properties.delivery_tag, message


def _tag(raw: bytes) -> str | None:
    """What kombu finds, which reads more than msgspec does."""
    try:
        tag = json.loads(raw.decode())["properties"]["delivery_tag"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return tag if isinstance(tag, str) else None


def expiry(expires: object) -> datetime | None:
    """When a message that says so is worth nothing any more."""
    if isinstance(expires, str):
        return _moment(expires)
    return _with_zone(expires) if isinstance(expires, datetime) else None


@lru_cache(maxsize=16)  # all messages of a sweep say the same
def _moment(text: str) -> datetime:
    return _with_zone(datetime.fromisoformat(text))


def _with_zone(moment: datetime) -> datetime:
    """Celery takes a moment that names no zone as one in UTC."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
