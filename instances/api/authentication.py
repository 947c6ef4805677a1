"""Who may call what: a bearer token whose scope covers the route's."""

from __future__ import annotations

from django.http import HttpRequest
from ninja.security import HttpBearer

from instances.access import tokens
from instances.access.reach import reach_of
from instances.api import limits, queries
from instances.api.call import call_of
from instances.api.problems import ProblemError
from instances.models import ApiToken

CHALLENGE = {"WWW-Authenticate": 'Bearer realm="dockmgr"'}


class BearerToken(HttpBearer):
    """A route's demand: a token of at least `scope`. An `action` makes its calls go into the audit log.

    A route that is `limited` shows a token with limits only what is within them. The others are about the
    whole fleet and refuse such a token.
    """

    openapi_description = "A token made with `manage.py create_token NAME --scope read|operate|admin`."

    def __init__(self, scope: str, action: str, *, limited: bool) -> None:
        super().__init__()
        self.scope, self.action, self.limited = scope, action, limited

    def __call__(self, request: HttpRequest) -> ApiToken:
        call_of(request).action = self.action
        token: ApiToken | None = super().__call__(request)
        if token is None:
            limits.failed(call_of(request))
            raise ProblemError(401, "A valid token is needed (Authorization: Bearer …).", headers=CHALLENGE)
        queries.refuse_unknown(request)
        return token

    def authenticate(self, request: HttpRequest, token: str) -> ApiToken | None:
        call = call_of(request)
        call.token = tokens.recognise(token, call.now)
        if call.token is None:
            return None
        limits.spend(call)
        if not tokens.allows(call.token, self.scope):
            raise ProblemError(
                403, f"This needs a token of scope {self.scope}; {call.token.name} has {call.token.scope}."
            )
        reach = reach_of(call.token)
        if not (self.limited or reach.is_whole):
            raise ProblemError(
                403, f"This is about the whole fleet; {call.token.name} is limited to {reach}."
            )
        return call.token


def may(scope: str, action: str = "", *, limited: bool = False) -> BearerToken:
    """The demand of a route; `action` is the word for what it changes or shows of customers' data."""
    return BearerToken(scope, action, limited=limited)
