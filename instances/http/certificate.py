"""What is kept of a server's certificate that was trusted."""

from __future__ import annotations

import hashlib
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True)
class Certificate:
    """What it is known by, and from when until when it holds."""

    fingerprint: str
    begins: datetime
    ends: datetime


def certificate_of(secured: ssl.SSLSocket) -> Certificate | None:
    """The other side's; None where nobody was asked to trust it: then nothing of it is known."""
    said, whole = secured.getpeercert(), secured.getpeercert(binary_form=True)
    if not said or not whole:
        return None
    begins, ends = (
        datetime.fromtimestamp(ssl.cert_time_to_seconds(str(said[when])), UTC)
        for when in ("notBefore", "notAfter")
    )
    return Certificate(hashlib.sha256(whole).hexdigest(), begins, ends)
