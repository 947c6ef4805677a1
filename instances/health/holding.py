"""What a check means while an operation is open: it is judged as ever, and nothing is healed."""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec.structs import replace

from instances.health.state import Policy, State, Status, Verdict


def while_changed(before: State, verdict: Verdict, policy: Policy, now: datetime) -> Verdict:
    """The verdict without a restart.

    A restart that was taken and has not begun stays the status until the instance is well: its
    attempt has not been made, so it is neither given up nor waits for another one.
    """
    after = verdict.state
    if before.status is Status.RESTARTING and after.status is not Status.HEALTHY:
        again = after.next_check_at or now + timedelta(seconds=policy.recheck_interval)
        after = replace(after, status=Status.RESTARTING, next_check_at=again)
    return replace(verdict, state=after, restart=False)
