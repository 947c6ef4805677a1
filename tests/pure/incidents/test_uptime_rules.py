"""From changes of availability to percentages and outages, in seconds since a fixed start."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instances.incidents.rules import Availability
from instances.incidents.uptime_rules import AvailabilityChange, Outage, Uptime, measure, outages
from instances.lib.durations import span
from tests.pure.moments import at

UP, DOWN, UNKNOWN, UNWATCHED = (
    Availability.UP,
    Availability.DOWN,
    Availability.UNKNOWN,
    Availability.UNWATCHED,
)
History = list[tuple[float, Availability]]


def changes(history: History) -> list[AvailabilityChange]:
    return [AvailabilityChange(at(second), availability) for second, availability in history]


def measured(history: History, since: float = 0, until: float = 100) -> Uptime:
    return measure(changes(history), at(since), at(until))


# name: (history, what the seconds after 0 up to 100 were like)
PERIODS: dict[str, tuple[History, Uptime]] = {
    "nothing is known": ([], Uptime()),
    "up all along": ([(-50, UP)], Uptime(up=100)),
    "down all along": ([(-50, DOWN)], Uptime(down=100, outages=1, down_since=at(-50))),
    "never watched": ([(-50, UNWATCHED)], Uptime(unwatched=100)),
    "first known within": ([(60, UP)], Uptime(up=40)),
    "known from the first moment": ([(0, UP)], Uptime(up=100)),
    "an outage within": (
        [(-50, UP), (20, DOWN), (50, UP)],
        Uptime(up=70, down=30, outages=1, recoveries=1, recovery_time=30),
    ),
    "an outage that began before takes all its time to recover": (
        [(-50, DOWN), (10, UP)],
        Uptime(up=90, down=10, outages=1, recoveries=1, recovery_time=60),
    ),
    "an outage that is not over": (
        [(-50, UP), (90, DOWN)],
        Uptime(up=90, down=10, outages=1, down_since=at(90)),
    ),
    "an outage that ended before": ([(-50, DOWN), (-10, UP)], Uptime(up=100)),
    "an outage that ended as the period began": ([(-50, DOWN), (0, UP)], Uptime(up=100)),
    "an outage that ends with the period": (
        [(-50, UP), (60, DOWN), (100, UP)],
        Uptime(up=60, down=40, outages=1, recoveries=1, recovery_time=40),
    ),
    "an outage that begins as the period ends": (
        [(-50, UP), (100, DOWN)],
        Uptime(up=100, outages=1, down_since=at(100)),
    ),
    "what comes after the period": ([(-50, UP), (101, DOWN), (102, UP)], Uptime(up=100)),
    "two outages": (
        [(0, UP), (10, DOWN), (20, UP), (50, DOWN), (80, UP)],
        Uptime(up=60, down=40, outages=2, recoveries=2, recovery_time=40),
    ),
    "down twice over is one outage": (
        [(0, UP), (10, DOWN), (20, DOWN), (30, UP)],
        Uptime(up=80, down=20, outages=1, recoveries=1, recovery_time=20),
    ),
    "not knowing does not end an outage": (
        [(0, UP), (10, DOWN), (20, UNKNOWN), (50, DOWN), (60, UP)],
        Uptime(up=50, down=20, unknown=30, outages=1, recoveries=1, recovery_time=50),
    ),
    "an outage nobody sees any more is not known to be over": (
        [(0, UP), (10, DOWN), (20, UNKNOWN)],
        Uptime(up=10, down=10, unknown=80, outages=1, down_since=at(10)),
    ),
    "pausing ends an outage without a recovery": (
        [(0, UP), (10, DOWN), (30, UNWATCHED)],
        Uptime(up=10, down=20, unwatched=70, outages=1),
    ),
    "starting is no outage": ([(0, UNKNOWN), (40, UP)], Uptime(up=60, unknown=40)),
}


@pytest.mark.parametrize(("history", "expected"), PERIODS.values(), ids=PERIODS.keys())
def test_a_period_is_measured(history: History, expected: Uptime) -> None:
    assert measured(history) == expected


PERCENTAGES: dict[str, tuple[Uptime, float | None]] = {
    "nothing known": (Uptime(), None),
    "never seen": (Uptime(unknown=10, unwatched=20), None),
    "up": (Uptime(up=0.3), 100.0),
    "down": (Uptime(down=7), 0.0),
    "a quarter down": (Uptime(up=75, down=25, unknown=900, unwatched=900), 75.0),
    "four places": (Uptime(up=2, down=1), 66.6667),
    "a second of a month is not nothing": (Uptime(up=2_591_999, down=1), 99.9999),
}


@pytest.mark.parametrize(("uptime", "percent"), PERCENTAGES.values(), ids=PERCENTAGES.keys())
def test_only_up_and_down_make_the_percentage(uptime: Uptime, percent: float | None) -> None:
    assert uptime.percent == percent


def test_time_to_recover_is_a_mean_over_outages_that_ended() -> None:
    assert Uptime().mean_time_to_recover is None
    assert Uptime(outages=3, recoveries=2, recovery_time=50).mean_time_to_recover == 25


def test_several_instances_add_up_and_the_oldest_open_outage_is_told() -> None:
    one = Uptime(up=90, down=10, outages=1, down_since=at(90), restarts=2, restarts_helped=1)
    other = Uptime(up=20, unknown=80, outages=2, recoveries=2, recovery_time=9, down_since=at(50), restarts=1)
    together = Uptime(110, 10, 80, 0, 3, 2, 9, at(50), 3, 1)
    assert one + other == together == sum([one, other], Uptime())
    assert Uptime() + Uptime() == Uptime()


def test_outages_are_told_with_how_they_ended() -> None:
    history: History = [(0, DOWN), (5, UP), (10, DOWN), (15, UNWATCHED), (20, UP), (30, DOWN)]
    assert outages(changes(history)) == [
        Outage(at(0), at(5), recovered=True),
        Outage(at(10), at(15), recovered=False),
        Outage(at(30)),
    ]


SPANS = {0: "0 s", 0.4: "0 s", 45: "45 s", 60: "1 min", 125: "2 min 5 s", 3600: "1 h", 93_784: "1 d 2 h"}


@pytest.mark.parametrize(("seconds", "text"), SPANS.items())
def test_a_length_of_time_is_told_in_its_two_largest_units(seconds: float, text: str) -> None:
    assert span(seconds) == text


HISTORIES = st.lists(st.tuples(st.integers(-500, 1500), st.sampled_from(Availability)), max_size=20).map(
    lambda rows: sorted(rows, key=lambda row: row[0])
)
SECONDS = st.integers(-400, 1400)


def counted(found: Uptime) -> float:
    return found.up + found.down + found.unknown + found.unwatched


@given(HISTORIES, SECONDS, st.integers(0, 1000))
def test_every_second_since_the_first_known_is_counted_once(
    history: History, since: int, length: int
) -> None:
    found, until = measured(history, since, since + length), since + length
    known = max(0, until - max(since, history[0][0])) if history else 0
    assert counted(found) == known
    assert found.percent is None or 0 <= found.percent <= 100
    assert found.recoveries <= found.outages
    assert found.recovery_time >= 0


@given(HISTORIES, SECONDS, st.integers(0, 500), st.integers(0, 500))
def test_two_halves_of_a_period_add_up_to_the_whole(
    history: History, since: int, first: int, second: int
) -> None:
    middle, until = since + first, since + first + second
    halves = measured(history, since, middle) + measured(history, middle, until)
    whole = measured(history, since, until)
    assert (halves.up, halves.down, halves.unknown, halves.unwatched) == (
        whole.up, whole.down, whole.unknown, whole.unwatched,
    )  # fmt: skip
    assert (halves.recoveries, halves.recovery_time) == (whole.recoveries, whole.recovery_time)


@given(HISTORIES, SECONDS, st.integers(0, 1000))
def test_what_happened_long_before_does_not_matter(history: History, since: int, length: int) -> None:
    """The last change before a period is all that a report reads of it, but for how an outage began."""
    before = [row for row in history if row[0] <= since][-1:]
    rest = [row for row in history if row[0] > since]
    assert counted(measured(before + rest, since, since + length)) == counted(
        measured(history, since, since + length)
    )
    assert (
        measured(before + rest, since, since + length).percent
        == measured(history, since, since + length).percent
    )
