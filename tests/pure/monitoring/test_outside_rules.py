"""Public addresses: when to look again, what they share, and which certificates end soon."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from instances.health.response import Outcome
from instances.monitoring.outside_rules import inside_view, is_worrying, next_look, zone_of

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
EVERY = timedelta(minutes=15)


@pytest.mark.parametrize(
    ("failures", "minutes"), [(0, 15), (1, 1), (2, 1), (3, 1), (4, 2), (5, 4), (6, 8), (7, 15), (10**6, 15)]
)
def test_what_fails_is_asked_sooner_and_then_less_and_less_often(failures: int, minutes: float) -> None:
    assert next_look(failures, EVERY) == timedelta(minutes=minutes)
    assert next_look(failures, timedelta(seconds=30)) == timedelta(seconds=30)


@pytest.mark.parametrize(
    ("host", "zone"),
    [
        ("c1.example.com", "example.com"), ("example.com", "example.com"),
        ("a.b.example.com.", "b.example.com"),
        ("localhost", "localhost"), ("203.0.113.7", ""), ("::1", ""), ("", ""),
    ],
)  # fmt: skip
def test_a_zone_is_the_domain_above(host: str, zone: str) -> None:
    assert zone_of(host) == zone


@pytest.mark.parametrize(
    ("life", "left", "worrying"),
    [
        (90, 14, False),
        (90, 13.9, True),
        (365, 20, False),
        (365, 13, True),
        (7, 6, False),  # renewed each day or two
        (7, 2.4, False),
        (7, 2.3, True),
        (90, -1, True),
    ],
)
def test_a_certificate_is_told_when_it_ends_soon_and_should_have_been_renewed(
    life: float, left: float, worrying: bool
) -> None:
    ends = NOON + timedelta(days=left)
    assert is_worrying(ends - timedelta(days=life), ends, NOON, 14) is worrying


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("healthy", Outcome.OK), ("starting", Outcome.STARTING), ("restarting", Outcome.STARTING),
        ("suspect", Outcome.FAIL), ("unhealthy", Outcome.FAIL), ("failed", Outcome.FAIL),
        ("unknown", Outcome.UNKNOWN), ("paused", Outcome.UNKNOWN),
    ],
)  # fmt: skip
def test_what_the_last_check_says_is_the_view_from_inside(status: str, outcome: Outcome) -> None:
    assert inside_view(status, "refused", "No.").outcome is outcome
