"""Who asks for an operation, and why: one value from the surface down to the journal."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from instances.errors import RequestError

MAX_REQUEST_ID = 128
# What only the surfaces themselves call people, and dockmgr itself.
_RESERVED = re.compile(r"(admin|api|cli|desk|task):|(beat|dockmgr|python)$")


@dataclass(frozen=True)
class Requester:
    """Who asks, why, and the id that makes asking twice the same as asking once.

    `may_choose_image` is whether an image outside of a plan's policy may be chosen; `surface` and `address`
    are where that is asked from, for the audit log. `asked` is what is asked for beside kind and
    customer; it may hold secrets. `automatic` is what nobody asked for: dockmgr heals.

    Raises RequestError for what only a program could send: names and reasons that are no texts.
    """

    requested_by: str
    reason: str = ""
    request_id: str | None = None
    may_choose_image: bool = False
    surface: str = "task"
    automatic: bool = False
    address: str | None = None
    asked: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        texts = (self.requested_by, self.reason, "" if self.request_id is None else self.request_id)
        if not all(isinstance(text, str) for text in texts):
            raise RequestError("requested_by, reason and request_id must be texts.")
        if len(texts[2]) > MAX_REQUEST_ID:
            raise RequestError(f"A request id may have {MAX_REQUEST_ID} characters.")

    def asking(self, asked: Mapping[str, Any]) -> Requester:
        """The same, of whom all is known that is asked for."""
        return replace(self, asked=asked)


def at_machine(requested_by: str, reason: str = "", request_id: str | None = None) -> Requester:
    """Whoever runs commands or Python on the machine itself, with its keys: there is nothing to hold back."""
    return Requester(requested_by, reason, request_id, may_choose_image=True, surface="command")


def a_service(requested_by: str, reason: str, request_id: str | None) -> Requester:
    """Another service, by the name it gives itself: it can't call itself one of ours or of our people."""
    asked = Requester(requested_by, reason, request_id)
    return replace(asked, requested_by=f"task:{requested_by}") if _RESERVED.match(requested_by) else asked


def dockmgr(reason: str, *, automatic: bool = False) -> Requester:
    """dockmgr itself, which heals and tidies up."""
    return Requester("dockmgr", reason, automatic=automatic)
