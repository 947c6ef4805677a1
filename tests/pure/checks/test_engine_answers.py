"""Answers of engines come as they are there, whatever another engine does."""

from __future__ import annotations

import time
from functools import partial
from threading import Event

import pytest

from instances.checks import engine_answers
from instances.checks.engine_answers import EngineAnswers

ROUNDS, SOON = 20, 0.3


def test_one_that_hangs_does_not_slow_down_each_round(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_answers, "SOON", SOON)
    released, begun = Event(), time.monotonic()
    with EngineAnswers[int, bool](float("inf")) as answers:
        answers.ask(0, partial(released.wait, 60.0))
        for number in range(1, ROUNDS):
            answers.ask(number, bool)
            assert answers.following() == {number: False}
        assert time.monotonic() - begun < ROUNDS * SOON / 2
        released.set()
        assert answers.following() == {0: True}


def test_one_that_hangs_for_too_long_is_as_one_that_does_not_answer() -> None:
    released = Event()
    with EngineAnswers[int, bool](0.05) as answers:
        answers.ask(0, partial(released.wait, 60.0))
        assert answers.following() == {0: None}
        assert len(answers) == 0
        released.set()
