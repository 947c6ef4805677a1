"""Waiting until a started container is healthy, for no longer than its plan's grace."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings

from instances.checks import RUNNING, Check, CheckRequest, observe, request_for
from instances.errors import EngineUnreachable, GateFailed
from instances.health import HARD_REASONS
from instances.operations.runner import Work
from instances.reply import Outcome, sentence

POLL_SECONDS = 0.5
WATCH_SECONDS = 1.0
HOPELESS = frozenset({"missing", "crash_loop"})


def margin() -> float:
    """Seconds past the grace in which a last look may still end well."""
    return float(settings.PROBE_TIMEOUT) + 1.0


def wait_until_healthy(work: Work, started_at: datetime, request: CheckRequest | None = None) -> Check:
    """Probe until as many checks in a row pass as the policy asks for, and return the last one.

    Raises GateFailed when start grace and margin are over, or when waiting is hopeless because the
    container is gone or restarts again and again, and EngineUnreachable when the time ran out
    without the host saying anything about it.
    """
    request = request or request_for(work.instance, RUNNING)
    passed = 0
    while passed < settings.SUCCESS_THRESHOLD:
        work.journal.check()
        check = observe(request, work.outside, settings.PROBE_TIMEOUT)
        passed = passed + 1 if check.seen.outcome is Outcome.OK else 0
        if not passed and _is_over(work, check, started_at):
            if check.seen.outcome is Outcome.UNKNOWN:
                raise EngineUnreachable(check.seen.error)
            raise GateFailed(_why(work, check))
        if passed < settings.SUCCESS_THRESHOLD:
            work.outside.clock.sleep(POLL_SECONDS)
    return check


def watch(work: Work, started_at: datetime, request: CheckRequest) -> Check:
    """See a container stay healthy until start grace and margin are over, and return the last check.

    A program that comes up, answers and dies again must not count as started. Raises GateFailed
    after `failure_threshold` failures in a row, or at once when the container ends, and
    EngineUnreachable when the time ran out while the host kept it from being seen.
    """
    deadline = started_at + timedelta(seconds=work.instance.plan.start_grace + margin())
    failures = 0
    while True:
        work.journal.check()
        check = observe(request, work.outside, settings.PROBE_TIMEOUT)
        over = work.outside.clock.now() >= deadline
        if check.seen.outcome is Outcome.UNKNOWN:
            if over:
                raise EngineUnreachable(check.seen.error)
        else:
            failures = 0 if check.seen.outcome is Outcome.OK else failures + 1
        if failures >= settings.FAILURE_THRESHOLD or check.seen.reason in HARD_REASONS:
            raise GateFailed(f"{work.instance.customer_id} was healthy and then failed: {check.seen.error}")
        if over and check.seen.outcome is Outcome.OK:
            return check
        work.outside.clock.sleep(WATCH_SECONDS)


def _is_over(work: Work, check: Check, started_at: datetime) -> bool:
    """Whether waiting longer is pointless; an engine's own restart of the container starts the grace anew."""
    since = max(filter(None, (started_at, check.seen.container_started_at)))
    deadline = since + timedelta(seconds=work.instance.plan.start_grace + margin())
    return check.seen.reason in HOPELESS or work.outside.clock.now() >= deadline


def _why(work: Work, check: Check) -> str:
    seen = check.seen
    if seen.outcome is Outcome.STARTING:
        what = sentence("start_timeout")
    else:
        what = seen.error or sentence(seen.reason)
    return (
        f"{work.instance.customer_id} did not become healthy within "
        f"{work.instance.plan.start_grace:g} s of its start: {what}"
    )
