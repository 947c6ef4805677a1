"""How often may be called: per token, and per address for callers without a good one."""

from __future__ import annotations

from django.conf import settings

from instances.api.call import Allowance, Call
from instances.api.problems import ProblemError
from instances.lib import client_ip
from tasks.broker.counters import COUNTER

WINDOW = 60  # seconds
FAILURES_ALLOWED = 20  # authentications that fail, per window and address


def spend(call: Call) -> None:
    """Count one call of the token. Raises ProblemError 429 when that is too many."""
    limit = settings.API_RATE
    used, seconds = _count(call, f"token:{call.caller.pk}")
    if used is None:
        return
    call.allowance = Allowance(limit, max(0, limit - used), seconds)
    if used > limit:
        call.repeated = used > limit + 1
        raise _too_many(f"This token may call {limit} times a minute.", seconds)


def failed(call: Call) -> None:
    """Count one failed authentication. Raises ProblemError 429 when that is too many.

    Good tokens are never refused for it: others may share their address.
    """
    used, seconds = _count(call, f"address:{client_ip.network(call.address)}")
    if used is not None and used > FAILURES_ALLOWED:
        call.repeated = used > FAILURES_ALLOWED + 1
        raise _too_many("There were too many calls without a good token from this address.", seconds)


def _count(call: Call, whose: str) -> tuple[int | None, int]:
    """How many in this window, this one included, and how many seconds are left of it."""
    window, into = divmod(int(call.now.timestamp()), WINDOW)
    return COUNTER.add(f"{whose}:{window}", 2 * WINDOW), WINDOW - into


def _too_many(sentence: str, seconds: int) -> ProblemError:
    return ProblemError(429, sentence, headers={"Retry-After": str(seconds)})
