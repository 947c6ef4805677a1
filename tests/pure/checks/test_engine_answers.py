"""Answers of engines come as they are there, whatever another engine does."""

from __future__ import annotations

import time
from functools import partial
from threading import Event

import pytest

from instances.checks import engine_answers
from instances.checks.engine_answers import EngineAnswers
from instances.checks.listings import LISTED_AT_ONCE

ROUNDS, SOON = 40, 0.05


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_answers, "SOON", SOON)


def test_one_that_hangs_does_not_slow_down_each_round() -> None:
    released, begun = Event(), time.monotonic()
    with EngineAnswers[int, bool](float("inf")) as answers:
        answers.ask(0, partial(released.wait, 60.0))
        for number in range(1, ROUNDS):
            answers.ask(number, bool)
            assert answers.following() == {number: False}
        assert time.monotonic() - begun < ROUNDS * SOON / 2
        released.set()
        assert answers.following() == {0: True}


def test_those_that_hang_for_too_long_are_as_some_that_do_not_answer_and_take_no_turn_of_others() -> None:
    released, many = Event(), range(2 * LISTED_AT_ONCE)
    with EngineAnswers[int, bool](2 * SOON) as answers:
        for number in many:
            answers.ask(number, partial(released.wait, 60.0))
        while answers:
            assert set(answers.following().values()) == {None}
        answers.ask(-1, bool)
        assert answers.following() == {-1: False}
        released.set()
