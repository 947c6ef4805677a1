"""Signed webhooks, by the rules of Standard Webhooks (standardwebhooks.com): pure."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from urllib.parse import unquote, urlsplit

PARAMETER = "signing_secret"
_PREFIX = "whsec_"
_SHORTEST, _LONGEST = 24, 64  # bytes


def secret_of(url: str) -> bytes | None:
    """The key in the URL's `signing_secret`, None where it has none. Raises ValueError if it is malformed."""
    for part in urlsplit(url).query.split("&"):
        name, _, value = part.partition("=")
        if name == PARAMETER:
            return _decoded(unquote(value))
    return None


def headers(secret: bytes, identity: str, seconds: int, body: bytes) -> dict[str, str]:
    """What a receiver verifies: that id, time (epoch seconds) and body are what was sent, and when."""
    signed = f"{identity}.{seconds}.".encode() + body
    signature = base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode()
    return {
        "webhook-id": identity,
        "webhook-timestamp": str(seconds),
        "webhook-signature": f"v1,{signature}",
    }


def _decoded(text: str) -> bytes:
    if not text.startswith(_PREFIX):
        raise ValueError(f"{PARAMETER} begins with {_PREFIX}")
    try:
        secret = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        raise ValueError(f"{PARAMETER} is {_PREFIX} and base64") from None
    if not _SHORTEST <= len(secret) <= _LONGEST:
        raise ValueError(f"{PARAMETER} holds {_SHORTEST} to {_LONGEST} bytes")
    return secret
