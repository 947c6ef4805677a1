"""Which operation without a holder needs another message."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from instances.models import Operation
from instances.operations.hand_over import message_is_lost

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)

# What was known when; seconds ago that it was told, and how long it had waited before that
BELIEVED, EMPTY = False, True
CASES: dict[str, tuple[float | None, float, bool, bool]] = {
    "nobody was told": (None, 0, BELIEVED, True),
    "told ahead of our time": (-1, 0, BELIEVED, True),
    "in the queue": (3599, 0, BELIEVED, False),
    "forgotten by any broker": (3600, 0, BELIEVED, True),
    "perhaps in a worker": (59, 0, EMPTY, False),
    "in no queue and no worker": (60, 0, EMPTY, True),
    "told again after five minutes": (299, 300, EMPTY, False),
    "five minutes after that": (300, 300, EMPTY, True),
    "told again after two hours": (3599, 7200, EMPTY, False),
    "an hour after that": (3600, 7200, EMPTY, True),
}


@pytest.mark.parametrize(("ago", "before", "empty", "lost"), CASES.values(), ids=CASES)
def test_a_message_is_lost_when_its_time_is_over(
    ago: float | None, before: float, empty: bool, lost: bool
) -> None:
    told = None if ago is None else NOW - timedelta(seconds=ago)
    operation = Operation(created_at=(told or NOW) - timedelta(seconds=before), handed_over_at=told)
    assert message_is_lost(operation, NOW, queue_empty=empty) is lost


def test_a_holder_that_died_had_its_message() -> None:
    operation = Operation(created_at=NOW, handed_over_at=NOW, lease_owner="gone")
    assert message_is_lost(operation, NOW, queue_empty=False)
