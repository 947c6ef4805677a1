"""Which time slot a beat stands for: two beats never double the sweep, and none gets lost."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instances.checks.sweeps import next_slot
from tests.pure.moments import at, seconds

INTERVAL = 900.0
LAST = at(0)

# name: (seconds after the last slot at which a beat comes, slot it stands for)
BEATS: dict[str, tuple[float, float | None]] = {
    "the same beat again": (0, None),
    "a second beat right behind": (1, None),
    "a second beat a third out of step": (300, None),
    "just before the middle": (449.9, None),
    "just after the middle": (450.1, 900),
    "a little early": (895, 900),
    "in time": (900, 900),
    "a little late": (905, 900),
    "very late": (1349, 900),
    "one slot was missed": (1800, 1800),
    "many slots were missed": (90_003, 90_000),
    "the clock went back": (-3600, -3600),
}


@pytest.mark.parametrize(("beat", "slot"), BEATS.values(), ids=BEATS.keys())
def test_a_beat_stands_for_the_nearest_slot_not_yet_swept(beat: float, slot: float | None) -> None:
    assert seconds(next_slot(LAST, at(beat), INTERVAL)) == slot


def swept(beats: list[float], interval: float, last: datetime | None = None) -> list[datetime]:
    """The slots of the sweeps these beats make, one after the other."""
    slots = []
    for beat in beats:
        slot = next_slot(last, at(beat), interval)
        if slot is not None:
            slots.append(slot)
            last = slot
    return slots


@pytest.mark.parametrize("shift", [0, 1, 200, 449, 451, 700, 899])
def test_two_beats_make_one_sweep_an_interval_in_and_out_of_phase(shift: float) -> None:
    both = sorted(n * INTERVAL + late for n in range(1, 11) for late in (0, shift))
    assert len(swept(both, INTERVAL, LAST)) in (10, 11)  # an eleventh when the second ends after the tenth


def test_two_beats_in_phase_keep_their_slots() -> None:
    both = [n * INTERVAL + late for n in range(1, 6) for late in (0, 0.2)]
    assert [seconds(slot) for slot in swept(both, INTERVAL, LAST)] == [900, 1800, 2700, 3600, 4500]


def test_a_beat_that_is_early_and_late_by_turns_loses_no_sweep() -> None:
    unsteady = [n * INTERVAL + (-40 if n % 2 else 40) for n in range(1, 9)]
    assert len(swept(unsteady, INTERVAL, LAST)) == 8


def test_a_changed_interval_goes_on_from_the_last_slot() -> None:
    assert seconds(next_slot(LAST, at(60), 60)) == 60
    assert next_slot(LAST, at(900), 3600) is None
    assert seconds(next_slot(LAST, at(3600), 3600)) == 3600


def test_the_first_slot_is_near_and_aware() -> None:
    now = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
    slot = next_slot(None, now, INTERVAL)
    assert slot is not None and slot.tzinfo is not None
    assert abs(slot - now) <= timedelta(seconds=INTERVAL)


@pytest.mark.parametrize("phase", [0, 100, 440, 460, 700, 899])
def test_two_beats_that_start_together_make_one_first_sweep(phase: float) -> None:
    assert len(swept([phase, phase + 0.5, phase + 2], INTERVAL)) == 1


INTERVALS = st.sampled_from([1.0, 60.0, 900.0])
BEATINGS = st.lists(st.floats(0, 8), min_size=1, max_size=40).map(sorted)  # in intervals


def most(beats: list[float], interval: float) -> int:
    return math.ceil((beats[-1] - beats[0]) / interval - 1e-9) + 1


@given(BEATINGS, INTERVALS, st.floats(-0.5, 5), st.sampled_from([None, LAST]))
def test_beats_at_any_phase_make_one_sweep_an_interval(
    beatings: list[float], interval: float, phase: float, last: datetime | None
) -> None:
    beats = [(phase + beating) * interval for beating in beatings]
    assert len(swept(beats, interval, last)) <= most(beats, interval)


@given(BEATINGS, INTERVALS)
def test_no_slot_is_swept_twice_and_none_before_its_predecessor(
    beatings: list[float], interval: float
) -> None:
    slots = swept([beating * interval for beating in beatings], interval)
    assert slots == sorted(set(slots))


@given(INTERVALS, st.lists(st.floats(-0.2, 0.2), min_size=1, max_size=30))
def test_a_beat_with_small_delays_never_loses_a_sweep(interval: float, delays: list[float]) -> None:
    beats = [(n + delay) * interval for n, delay in enumerate(delays, start=1)]
    assert len(swept(beats, interval, LAST)) == len(beats)
