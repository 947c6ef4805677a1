"""What a throwaway container reached, and what that says of how customers are kept apart."""

from __future__ import annotations

import pytest

from instances.containers.isolation import Measured, Reached, findings, outcome

CONNECTED, REFUSED, NO_ROUTE, SILENT, UNKNOWN = Reached
APART = Measured(SILENT, REFUSED, REFUSED, SILENT)


@pytest.mark.parametrize(
    ("state", "code", "reached"),
    [
        ("exited", 0, CONNECTED),
        ("exited", 111, REFUSED),
        ("exited", 1, REFUSED),
        ("exited", 113, NO_ROUTE),
        ("exited", 101, NO_ROUTE),
        ("exited", 110, SILENT),
        ("running", None, SILENT),
        ("exited", 127, UNKNOWN),
        ("exited", None, UNKNOWN),
        ("created", 0, UNKNOWN),
    ],
)
def test_the_end_of_a_program_tells_what_it_reached(state: str, code: int | None, reached: Reached) -> None:
    assert outcome(state, code) is reached


@pytest.mark.parametrize(
    ("measured", "not_enforced"),
    [
        (APART, set()),
        (Measured(NO_ROUTE, SILENT, SILENT, CONNECTED), set()),
        (Measured(SILENT, SILENT, NO_ROUTE, SILENT), set()),
        (Measured(CONNECTED, SILENT, REFUSED, SILENT), {"neighbours"}),
        (Measured(SILENT, CONNECTED, REFUSED, SILENT), {"host"}),
        (Measured(SILENT, SILENT, CONNECTED, CONNECTED), {"link_local"}),
        # The host hears nothing there either: that proves no rule.
        (Measured(SILENT, SILENT, SILENT, SILENT), {"link_local"}),
        (Measured(SILENT, SILENT, NO_ROUTE, NO_ROUTE), {"link_local"}),
        (Measured(CONNECTED, CONNECTED, SILENT, SILENT), {"neighbours", "host", "link_local"}),
    ],
)
def test_each_of_the_three_ways_is_judged_by_itself(measured: Measured, not_enforced: set[str]) -> None:
    bad = [finding for finding in findings(measured) if not finding.ok]
    assert {finding.name.removeprefix("isolation_") for finding in bad} == not_enforced
    assert all("isolation is not enforced" in finding.message for finding in bad)


def test_what_could_not_be_measured_is_not_taken_for_good() -> None:
    found = list(findings(Measured(why="no room")))
    assert [finding.ok for finding in found] == [False] * 3
    assert all("isolation is enforced could not be measured: no room" in each.message for each in found)
