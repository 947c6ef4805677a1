"""The installation's numbers for the state machine."""

from __future__ import annotations

import random

from django.conf import settings

from instances.health.state import Policy


def policy(start_grace: float = 0.0) -> Policy:
    """The installation's policy; a plan's grace (seconds) is needed only to judge a probe."""
    return Policy(
        failure_threshold=settings.FAILURE_THRESHOLD,
        success_threshold=settings.SUCCESS_THRESHOLD,
        recheck_interval=settings.RECHECK_INTERVAL,
        restart_limit=settings.RESTART_LIMIT,
        restart_backoff=settings.RESTART_BACKOFF,
        slow_retry=settings.SLOW_RETRY,
        slow_retry_every=settings.SLOW_RETRY_EVERY,
        start_grace=start_grace,
        reopen_within=settings.REOPEN_WITHIN,
        flaps_allowed=settings.FLAPS_ALLOWED,
        flap_window=settings.FLAP_WINDOW,
        flapping_clean=settings.FLAPPING_CLEAN,
    )


def jitter() -> float:
    return random.uniform(-1, 1)  # noqa: S311
