"""A container that was just started is watched: what counts against it, and what against its host."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from instances.health.response import Outcome
from instances.health.soak import (
    ContainerRun,
    Soak,
    SoakCheck,
    SoakRules,
    SoakVerdict,
    judge_soak,
    was_stopped,
)

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
RULES = SoakRules(grace=10, margin=2, failure_threshold=3)
FIRST = ContainerRun(START)
OK, FAIL, UNKNOWN, BOOTS = Outcome.OK, Outcome.FAIL, Outcome.UNKNOWN, Outcome.STARTING
AWAY = (UNKNOWN, "engine", None)
Seen = tuple[Outcome, str, ContainerRun | None]


def later(seconds: float, restarts: int = 0) -> ContainerRun:
    """A run that began `seconds` after the first by the engine's clock, which is an hour ahead."""
    return ContainerRun(START + timedelta(hours=1, seconds=seconds), restarts)


def well(run: ContainerRun = FIRST) -> Seen:
    return (OK, "", run)


def ill(run: ContainerRun = FIRST, reason: str = "refused") -> Seen:
    return (FAIL, reason, run)


def verdicts(seen: dict[int, Seen], first: ContainerRun = FIRST) -> list[SoakVerdict]:
    """What each look led to, up to the first that ended the watch; keys are seconds."""
    probation, found = Soak(START, first), []
    for second, (outcome, reason, run) in seen.items():
        look = SoakCheck(START + timedelta(seconds=second), outcome, reason, run)
        probation, verdict = judge_soak(probation, look, RULES)
        found.append(verdict)
    return found


def last(seen: dict[int, Seen], first: ContainerRun = FIRST) -> tuple[int, SoakVerdict]:
    """How many looks it took, and how it ended."""
    found = verdicts(seen, first)
    ended = next((number for number, v in enumerate(found) if v is not SoakVerdict.WAIT), len(found) - 1)
    return ended + 1, found[ended]


@pytest.mark.parametrize(
    ("name", "seen", "expected"),
    [
        ("well all the time", {5: well(), 11: well(), 12: well()}, (3, SoakVerdict.PASSED)),
        ("well, but the time is not over", {5: well(), 11: well()}, (2, SoakVerdict.WAIT)),
        ("two failures, then well", {1: ill(), 2: ill(), 3: well(), 12: well()}, (4, SoakVerdict.PASSED)),
        ("three failures", {1: ill(), 2: ill(), 3: ill()}, (3, SoakVerdict.FAILED)),
        ("it says starting", {1: (BOOTS, "", FIRST), 2: ill(), 3: ill()}, (3, SoakVerdict.FAILED)),
        ("ill when the time is over", {11: ill(), 12: ill(), 13: well()}, (3, SoakVerdict.PASSED)),
        ("gone", {1: well(), 2: (FAIL, "missing", None)}, (2, SoakVerdict.FAILED)),
        ("ended for good", {1: well(), 2: ill(reason="exited")}, (2, SoakVerdict.FAILED)),
        ("ended and up again", {1: well(), 2: well(later(2, restarts=1))}, (2, SoakVerdict.ENDED)),
        ("ended and waiting to be up again", {1: ill(ContainerRun(START, 1))}, (1, SoakVerdict.ENDED)),
        ("the engine is away at the end", {11: well(), 12: AWAY}, (2, SoakVerdict.UNSEEN)),
        ("answers, but the engine does not", {12: (OK, "", None)}, (1, SoakVerdict.UNSEEN)),
        ("fails, and nobody can say why", {1: (FAIL, "timeout", None)} | {2: AWAY}, (2, SoakVerdict.WAIT)),
        (
            "the engine restarts and the program boots in its grace",
            {1: well(), 2: AWAY, 3: ill(later(3)), 8: ill(later(3)), 12: ill(later(3)), 13: well(later(3)),
             14: well(later(3)), 15: well(later(3))},
            (8, SoakVerdict.PASSED),
        ),
        (
            "the engine restarts and the program never comes up",
            {1: well(), 3: ill(later(3)), 12: ill(later(3)), 13: ill(later(3)), 14: ill(later(3)),
             15: ill(later(3))},
            (6, SoakVerdict.FAILED),
        ),
        (
            "it answered after the engine's restart and then failed",
            {3: well(later(3)), 4: ill(later(3)), 5: ill(later(3)), 6: ill(later(3))},
            (4, SoakVerdict.FAILED),
        ),
        (
            "the engine restarts twice",
            {3: ill(later(3)), 11: ill(later(11)), 20: ill(later(11)), 23: well(later(11))},
            (4, SoakVerdict.PASSED),
        ),
        (
            "the program ends after the engine's restart",
            {3: well(later(3)), 5: well(later(5, restarts=1))},
            (2, SoakVerdict.ENDED),
        ),
    ],
)  # fmt: skip
def test_a_container_under_watch(name: str, seen: dict[int, Seen], expected: tuple[int, SoakVerdict]) -> None:
    assert last(seen) == expected


@pytest.mark.parametrize(
    ("name", "first", "now", "ended"),
    [
        ("the same run", ContainerRun(START, 0), ContainerRun(START, 0), False),
        ("it had been revived before", ContainerRun(START, 2), ContainerRun(START, 2), False),
        ("revived", ContainerRun(START, 0), later(1, 1), True),
        ("revived again", ContainerRun(START, 2), later(1, 3), True),
        ("waiting to be revived", ContainerRun(START, 0), ContainerRun(START, 1), True),
        ("the engine restarted", ContainerRun(START, 2), later(1, 0), False),
        ("the engine restarted, then it was revived", ContainerRun(START, 2), later(1, 1), True),
        ("the same after both", ContainerRun(START, 1), later(1, 1), True),
    ],
)
def test_an_end_of_the_program_is_told_from_an_engine_that_restarts(
    name: str, first: ContainerRun, now: ContainerRun, ended: bool
) -> None:
    assert now.tells_of_an_end_since(first) is ended


@pytest.mark.parametrize(
    ("state", "policy", "stopped"),
    [
        ("exited", "unless-stopped", True),
        ("exited", "always", True),
        ("exited", "on-failure", False),
        ("exited", "no", False),
        ("running", "unless-stopped", False),
        ("restarting", "unless-stopped", False),
        ("created", "unless-stopped", False),
        ("dead", "always", False),
    ],
)
def test_what_a_policy_keeps_up_has_not_ended_by_itself(state: str, policy: str, stopped: bool) -> None:
    assert was_stopped(state, policy) is stopped


def test_a_watch_whose_clock_was_set_back_takes_no_longer() -> None:
    ahead = Soak(START + timedelta(hours=2), FIRST)
    soak, verdict = judge_soak(ahead, SoakCheck(START, OK, "", FIRST), RULES)
    assert verdict is SoakVerdict.WAIT
    _, verdict = judge_soak(soak, SoakCheck(START + timedelta(seconds=12), OK, "", FIRST), RULES)
    assert verdict is SoakVerdict.PASSED
