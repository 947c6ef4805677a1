"""What beat can't carry out is known before it tries."""

from __future__ import annotations

from itertools import product

import pytest

from tasks.schedule_rules import (
    BOUNDS,
    DOCUMENTS,
    document_conflict,
    interval_conflict,
    length,
    place_conflict,
    task_conflict,
)

INTERVALS = [
    (1, "seconds", ""),
    (15, "minutes", ""),
    (3660, "days", ""),
    (1_000_000, "microseconds", ""),
    (999_999, "microseconds", BOUNDS),
    (0, "seconds", BOUNDS),
    (3661, "days", BOUNDS),
    (999_999_999, "days", BOUNDS),  # a timedelta, and no date is so late
    (2**31 - 1, "days", BOUNDS),  # no timedelta
]


@pytest.mark.parametrize(("every", "period", "conflict"), INTERVALS)
def test_an_interval_is_neither_too_short_nor_too_long(every: int, period: str, conflict: str) -> None:
    assert interval_conflict(every, period) == conflict


def test_beat_goes_on_with_short_intervals_that_are_there() -> None:
    assert length(1, "microseconds") is not None and length(3661, "days") is None


GOOD = [
    ("args", "[]"),
    ("args", '[1, "a"]'),
    ("kwargs", '{"a": 1}'),
    ("headers", "{}"),
    ("args", ""),
    ("kwargs", ""),
]
OF_ANOTHER_FORM = [("args", "{}"), ("kwargs", "[]"), ("headers", "[1]")]
BAD = ["5", "null", '"a"', "x", "[", "[" * 3000, '{"__type__": "uuid", "__value__": "x"}', "NaN", "\0"]


@pytest.mark.parametrize(("field", "text"), GOOD)
def test_documents_of_the_right_shape_are_taken(field: str, text: str) -> None:
    assert document_conflict(field, text) == ""


@pytest.mark.parametrize(("field", "text"), [*product(DOCUMENTS, BAD), *OF_ANOTHER_FORM])
def test_other_documents_are_refused_in_a_sentence(field: str, text: str) -> None:
    assert document_conflict(field, text) == DOCUMENTS[field][1]


@pytest.mark.parametrize(("text", "is_taken"), [("health", True), ("", True), (None, True), ("x", False)])
def test_messages_go_where_workers_take_them(text: str | None, is_taken: bool) -> None:
    assert place_conflict(text, ["health", "celery"]) == (
        "" if is_taken else "Workers take messages from health, celery only."
    )


def test_tasks_are_those_that_workers_know() -> None:
    assert task_conflict("dockmgr.sweep", {"dockmgr.sweep"}) == ""
    assert task_conflict("dockmgr.swep", {"dockmgr.sweep"}) == "The workers know no task of this name."
