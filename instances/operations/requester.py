"""Who asks for an operation, and why: one value from the surface down to the journal."""

from __future__ import annotations

from dataclasses import dataclass

from instances.errors import RequestError

MAX_REQUEST_ID = 128


@dataclass(frozen=True)
class Requester:
    """Who asks, why, and the id that makes asking twice the same as asking once.

    Raises RequestError for what only a program could send: names and reasons that are no texts.
    """

    requested_by: str
    reason: str = ""
    request_id: str | None = None

    def __post_init__(self) -> None:
        texts = (self.requested_by, self.reason, "" if self.request_id is None else self.request_id)
        if not all(isinstance(text, str) for text in texts):
            raise RequestError("requested_by, reason and request_id must be texts.")
        if len(texts[2]) > MAX_REQUEST_ID:
            raise RequestError(f"A request id may have {MAX_REQUEST_ID} characters.")


def dockmgr(reason: str) -> Requester:
    """dockmgr itself, which heals and tidies up."""
    return Requester("dockmgr", reason)
