"""What is known of one API call while it is answered: who asks for what, and what is recorded of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.http import HttpRequest

from instances.access import tokens
from instances.access.reach import Reach, reach_of
from instances.models import ApiToken
from instances.operations.requester import Requester


@dataclass
class Allowance:
    """How many calls are left of `limit` in the present window, which ends in `seconds`."""

    limit: int
    left: int
    seconds: int


@dataclass
class Call:
    """`now` is frozen for the whole call. What has an `action` goes into the audit log.

    `target`, `reason` and `outcome` are what the log says of it, set once they are known and checked.
    `repeated` calls over a limit do not go into the log: the first one has, and they may be many.
    """

    now: datetime
    address: str | None
    token: ApiToken | None = None
    action: str = ""
    target: str = ""
    reason: str = ""
    outcome: str = ""
    repeated: bool = False
    allowance: Allowance | None = None

    @property
    def actor(self) -> str:
        return self.token.actor if self.token else "api:unknown"

    @property
    def is_admin(self) -> bool:
        return self.token is not None and tokens.allows(self.token, "admin")

    @property
    def caller(self) -> ApiToken:
        """The token that was shown; every route but the documentation has one."""
        if self.token is None:
            raise RuntimeError("A route without authentication has no caller.")
        return self.token

    @property
    def reach(self) -> Reach:
        """What the caller is limited to."""
        return reach_of(self.caller)

    def requester(self, request_id: str | None = None) -> Requester:
        """Who asks, as operations know it; a token of scope admin may choose any image."""
        return Requester(
            self.actor,
            self.reason,
            request_id,
            may_choose_image=self.is_admin,
            surface="api",
            address=self.address,
        )


def call_of(request: HttpRequest) -> Call:
    call: Call = request.api_call  # type: ignore[attr-defined]
    return call
