"""Whether dockmgr itself still works, judged from its traces, as tables."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from instances.limits import LONGEST_WATCH
from instances.monitoring.self_rules import (
    NEEDED,
    Part,
    PartState,
    Signs,
    cause,
    crowd,
    describe,
    gone,
    judge_parts,
    last_one_refused,
    parts_of,
)
from tests.pure.moments import START as NOW
from tests.pure.moments import at

WELL, GONE, UNCLEAR = PartState.WELL, PartState.GONE, PartState.UNCLEAR


def ago(seconds: float) -> Any:
    return NOW - timedelta(seconds=seconds)


def signs(up: float = 10_000, interval: float = 900, swept: float | None = 10, **rest: Any) -> Signs:
    """A process up for `up` seconds, a sweep that finished `swept` seconds ago."""
    return Signs(NOW, ago(up), interval, None if swept is None else ago(swept), **rest)


# name: (signs, finding about the sweeps)
SWEEPS: dict[str, tuple[Signs, PartState]] = {
    "a sweep just now": (signs(), WELL),
    "two intervals ago": (signs(swept=1800), WELL),
    "more than two intervals ago": (signs(swept=1803), GONE),
    "nobody to look after": (signs(swept=9999, watched=False), WELL),
    "one that somebody attends": (signs(swept=9999, sweeping=True), WELL),
    "a start after a pause": (signs(up=60, swept=9999), UNCLEAR),
    "an interval after the start": (signs(up=900, swept=9999), GONE),
    "a start after a pause, short interval": (signs(up=29, interval=2, swept=9999), UNCLEAR),
    "a little after it": (signs(up=30, interval=2, swept=9999), GONE),
    "swept since the start, then never again": (signs(up=20, interval=2, swept=7), GONE),
    "never swept, just started": (signs(up=1800, swept=None), UNCLEAR),
    "never swept for two intervals": (signs(up=1803, swept=None), GONE),
    "never swept, short interval": (signs(up=29, interval=2, swept=None), UNCLEAR),
}


@pytest.mark.parametrize(("seen", "finding"), SWEEPS.values(), ids=SWEEPS.keys())
def test_sweeps_are_missed_after_two_intervals(seen: Signs, finding: PartState) -> None:
    assert judge_parts(seen)[Part.SWEEPS] is finding


def test_a_schedule_is_missed_when_sweeps_are() -> None:
    for swept, scheduled, finding in ((10, False, WELL), (1803, False, GONE), (1803, True, WELL)):
        assert judge_parts(signs(swept=swept, scheduled=scheduled))[Part.SCHEDULE] is finding


@pytest.mark.parametrize("part", [Part.BEAT, Part.CLOCKWORK])
@pytest.mark.parametrize(
    ("last", "up", "finding"),
    [(None, 9999, WELL), (60, 9999, WELL), (61, 9999, GONE), (9999, 61, GONE), (9999, 60, UNCLEAR)],
)
def test_a_part_known_before_is_missed_after_a_minute(
    part: Part, last: float | None, up: float, finding: PartState
) -> None:
    pulses = {} if last is None else {part.value: ago(last)}
    assert judge_parts(signs(up=up, pulses=pulses))[part] is finding


@pytest.mark.parametrize("part", NEEDED)
@pytest.mark.parametrize(
    ("last", "up", "finding"),
    [(None, 60, UNCLEAR), (None, 61, GONE), (60, 9999, WELL), (61, 9999, GONE), (9999, 60, UNCLEAR)],
)
def test_a_queue_that_must_be_served_is_missed_even_if_it_never_was(
    part: Part, last: float | None, up: float, finding: PartState
) -> None:
    pulses = {} if last is None else {part.value: ago(last)}
    assert judge_parts(signs(up=up, pulses=pulses))[part] is finding


def test_a_queue_for_messages_is_missed_once_it_was_served() -> None:
    part = Part.MESSAGES_SERVED
    assert judge_parts(signs())[part] is WELL
    assert judge_parts(signs(pulses={part.value: ago(61)}))[part] is GONE


@pytest.mark.parametrize("part", NEEDED)
def test_without_a_broker_it_is_not_the_workers_that_are_missed(part: Part) -> None:
    assert judge_parts(signs(crowded_since=None))[part] is UNCLEAR


@pytest.mark.parametrize(("waits", "finding"), [(None, WELL), (300, WELL), (301, GONE)])
def test_an_order_may_wait_for_five_minutes(waits: float | None, finding: PartState) -> None:
    since = None if waits is None else ago(waits)
    assert judge_parts(signs(waiting_since=since))[Part.ORDERS] is finding


@pytest.mark.parametrize(("unheard", "finding"), [(False, WELL), (True, GONE)])
def test_no_channel_left_is_a_part_that_is_gone(unheard: bool, finding: PartState) -> None:
    assert judge_parts(signs(unheard=unheard))[Part.CHANNELS] is finding


@pytest.mark.parametrize(
    ("since", "finding"),
    [({}, WELL), ({"health": 59}, UNCLEAR), ({"health": 60}, GONE), ({"health": 5, "operations": 70}, GONE)],
)
def test_a_queue_too_long_for_a_minute_is_reported(since: dict[str, float], finding: PartState) -> None:
    crowded = {queue: ago(seconds) for queue, seconds in since.items()}
    assert judge_parts(signs(crowded_since=crowded))[Part.QUEUES] is finding


def test_a_broker_that_cannot_be_asked_leaves_the_queues_unclear() -> None:
    assert judge_parts(signs(crowded_since=None))[Part.QUEUES] is UNCLEAR


@pytest.mark.parametrize(("active", "limit"), [(0, 1000), (500, 1000), (501, 1002), (50_000, 100_000)])
def test_a_queue_may_hold_two_messages_for_each_instance(active: int, limit: int) -> None:
    assert crowd(active) == limit


def test_what_is_unclear_stays_as_it_was_known() -> None:
    found = {Part.SWEEPS: UNCLEAR, Part.BEAT: GONE, Part.CLOCKWORK: WELL, Part.QUEUES: UNCLEAR}
    assert gone(found, []) == [Part.BEAT]
    assert gone(found, ["sweeps", "clockwork"]) == [Part.SWEEPS, Part.BEAT]
    assert gone(found, ["queues"]) == [Part.BEAT, Part.QUEUES]


def test_the_cause_names_the_parts_and_can_be_read_back() -> None:
    assert cause([Part.SWEEPS, Part.BEAT]) == "sweeps,beat"
    assert parts_of(cause(list(Part))) == list(Part)
    assert parts_of("") == []


def test_everything_gone_still_fits_an_incident() -> None:
    assert len(cause(Part)) <= 128
    assert len(describe(Part)) <= 255
    assert describe([Part.BEAT]) == "Beat shows no sign of life: is it running?"


def test_who_watches_as_seldom_as_may_be_is_missed_by_nobody() -> None:
    pulses = dict.fromkeys(Part, ago(3 * LONGEST_WATCH))
    signs = Signs(NOW, up_since=ago(600), interval=900, swept_at=ago(60), pulses=pulses)
    assert gone(judge_parts(signs), ()) == []


@pytest.mark.parametrize(
    ("refused", "by_hand", "expected"),
    [
        ([], None, False),
        ([], 5, False),
        ([None], None, True),
        ([3], None, True),
        ([3], 5, False),
        ([None], 5, False),
        ([None, 7], 5, True),
    ],
)
def test_the_last_channel_is_missed_where_it_refused(
    refused: list[int | None], by_hand: int | None, expected: bool
) -> None:
    moments = [None if second is None else at(second) for second in refused]
    assert last_one_refused(moments, None if by_hand is None else at(by_hand)) is expected
