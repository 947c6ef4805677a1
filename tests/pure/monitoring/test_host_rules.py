"""When a host is in trouble and when that has passed, as tables."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instances.monitoring.host_rules import (
    HostFacts,
    HostRules,
    HostStep,
    OpenIncident,
    PingRecord,
    Trouble,
    after_asking,
    ask_soon,
    describe,
    half_are_bad,
    in_common,
    next_step,
    trouble_of,
    wave_begins,
    wave_limit,
)
from tests.pure.moments import START as T0

RULES = HostRules(ask_interval=10, wave_window=120, wave_least=5, wave_percent=30)
SILENT = "The Docker Engine at tcp://h:2376 is out of reach: it did not answer in time."
WELL = PingRecord(last_at=T0)
ONCE = PingRecord(1, T0, T0, SILENT)
TWICE = PingRecord(2, T0, T0 + timedelta(seconds=10), SILENT)
HASTY = PingRecord(2, T0, T0 + timedelta(seconds=9), SILENT)

# name: (asked, active, failed, trouble)
TROUBLES: dict[str, tuple[PingRecord, int, int, Trouble | None]] = {
    "all well": (WELL, 100, 0, None),
    "an engine that failed once": (ONCE, 100, 0, None),
    "an engine that failed twice": (TWICE, 100, 0, Trouble.ENGINE),
    "an engine that failed twice at the same moment": (HASTY, 100, 0, None),
    "an engine without instances": (TWICE, 0, 0, Trouble.ENGINE),
    "one short of a wave": (WELL, 100, 29, None),
    "a wave": (WELL, 100, 30, Trouble.WAVE),
    "few instances, four of them": (WELL, 6, 4, None),
    "few instances, five of them": (WELL, 6, 5, Trouble.WAVE),
    "all of fewer than five": (WELL, 4, 4, None),
    "30 % of 17 is more than five": (WELL, 17, 5, None),
    "six of 17": (WELL, 17, 6, Trouble.WAVE),
    "the engine before the wave": (TWICE, 100, 100, Trouble.ENGINE),
}


@pytest.mark.parametrize(("asked", "active", "failed", "trouble"), TROUBLES.values(), ids=TROUBLES.keys())
def test_a_host_is_in_trouble_for_two_reasons(
    asked: PingRecord, active: int, failed: int, trouble: Trouble | None
) -> None:
    assert trouble_of(HostFacts(asked, active, failed), RULES) is trouble


ENGINE, WAVE = OpenIncident("engine", in_grace=False), OpenIncident("wave", in_grace=False)
ENGINE_GRACE, WAVE_GRACE = OpenIncident("engine", in_grace=True), OpenIncident("wave", in_grace=True)

# name: (known, asked, failed of 100, step)
STEPS: dict[str, tuple[OpenIncident | None, PingRecord, int, HostStep]] = {
    "nothing": (None, WELL, 0, HostStep.LEAVE),
    "a first failed question": (None, ONCE, 0, HostStep.LEAVE),
    "the engine is gone": (None, TWICE, 0, HostStep.OPEN),
    "a wave comes": (None, WELL, 40, HostStep.OPEN),
    "the engine stays away": (ENGINE, TWICE, 0, HostStep.LEAVE),
    "the engine is back": (ENGINE, WELL, 0, HostStep.GRACE),
    "what it left behind fails in a wave": (ENGINE, WELL, 100, HostStep.GRACE),
    "the wave goes on": (WAVE, WELL, 30, HostStep.LEAVE),
    "the wave has passed": (WAVE, WELL, 29, HostStep.GRACE),
    "the wave has passed, the engine does not answer": (WAVE, ONCE, 0, HostStep.LEAVE),
    "the wave was the engine": (WAVE, TWICE, 30, HostStep.OPEN),
    "grace goes on": (WAVE_GRACE, WELL, 0, HostStep.LEAVE),
    "grace goes on with a few": (WAVE_GRACE, WELL, 29, HostStep.LEAVE),
    "a wave in the grace of a wave": (WAVE_GRACE, WELL, 30, HostStep.RELAPSE),
    "a wave in the grace of an engine": (ENGINE_GRACE, WELL, 100, HostStep.LEAVE),
    "the engine hesitates in its grace": (ENGINE_GRACE, ONCE, 0, HostStep.RELAPSE),
    "the engine is gone in the grace of a wave": (WAVE_GRACE, TWICE, 0, HostStep.OPEN),
}


@pytest.mark.parametrize(("known", "asked", "failed", "step"), STEPS.values(), ids=STEPS.keys())
def test_a_look_at_a_host_calls_for_one_step(
    known: OpenIncident | None, asked: PingRecord, failed: int, step: HostStep
) -> None:
    assert next_step(HostFacts(asked, 100, failed), known, RULES) is step


def test_what_is_set_up_wrongly_is_told_apart_from_what_is_out_of_reach() -> None:
    assert trouble_of(HostFacts(TWICE, 100, 0), RULES) == "engine"
    assert trouble_of(HostFacts(TWICE, 100, 0, misconfigured=True), RULES) == "configuration"
    assert trouble_of(HostFacts(ONCE, 100, 0, misconfigured=True), RULES) is None


def test_failures_are_counted_from_the_first_until_an_answer() -> None:
    later = T0 + timedelta(seconds=10)
    first = after_asking(PingRecord(), T0, SILENT)
    assert first == ONCE
    assert after_asking(first, later, "gone") == PingRecord(2, T0, later, "gone")
    assert after_asking(TWICE, later, "") == PingRecord(last_at=later)


@pytest.mark.parametrize(
    ("told", "begins"), [(None, -120), (timedelta(minutes=-5), -120), (timedelta(seconds=-30), -30)]
)
def test_failures_told_of_at_the_last_end_are_no_new_wave(told: timedelta | None, begins: int) -> None:
    told_at = T0 + told if told else None
    assert wave_begins(T0, told_at, RULES) == T0 + timedelta(seconds=begins)


@pytest.mark.parametrize(
    ("asked", "failed", "is_open", "again"),
    [(WELL, 0, False, False), (ONCE, 0, False, True), (WELL, 1, False, True), (WELL, 0, True, True)],
)
def test_an_engine_is_asked_soon_again_while_there_is_reason(
    asked: PingRecord, failed: int, is_open: bool, again: bool
) -> None:
    assert ask_soon(HostFacts(asked, 100, failed), is_open) is again


@given(st.integers(0, 100_000), st.integers(2, 50), st.integers(1, 100))
def test_a_wave_is_never_smaller_than_either_limit(active: int, least: int, percent: int) -> None:
    limit = wave_limit(active, HostRules(wave_least=least, wave_percent=percent))
    assert limit >= least
    assert limit * 100 >= active * percent
    assert limit == least or (limit - 1) * 100 < active * percent


OLD, NEW, EXITED = {"image": "old", "plan": "pro"}, {"image": "new", "plan": "pro"}, {"reason": "exited"}


@pytest.mark.parametrize(
    ("failing", "well", "shared"),
    [
        ([NEW] * 5, [OLD] * 5, {"image": "new"}),
        ([NEW] * 5, [], {"image": "new", "plan": "pro"}),
        ([NEW] * 3 + [OLD], [OLD] * 4, {"image": "new"}),
        ([NEW] * 3 + [OLD] * 2, [OLD] * 4, {}),
        ([NEW] * 5, [OLD] * 3 + [NEW], {"image": "new"}),
        ([NEW] * 5, [OLD] * 2 + [NEW], {}),
        ([NEW | EXITED] * 5, [NEW] * 5, EXITED),
        ([{"version": ""}] * 5, [], {}),
        ([], [OLD], {}),
    ],
)
def test_a_wave_has_in_common_what_most_that_fail_share_and_few_others(
    failing: list[dict[str, str]], well: list[dict[str, str]], shared: dict[str, str]
) -> None:
    assert in_common(failing, well) == shared


@pytest.mark.parametrize(
    ("bad", "hosts", "half"),
    [
        (0, 0, False),
        (0, 2, False),
        (1, 1, False),
        (1, 2, False),
        (2, 2, True),
        (2, 3, True),
        (2, 4, True),
        (2, 5, False),
    ],
)
def test_two_hosts_that_are_half_of_all_are_the_fleet(bad: int, hosts: int, half: bool) -> None:
    assert half_are_bad(bad, hosts) is half


def test_trouble_is_said_in_a_sentence() -> None:
    wave = describe(Trouble.WAVE, "far", HostFacts(WELL, 100, 37), RULES)
    assert wave == "37 of 100 instances of host far failed within 120 s, with nothing in common."
    shared = {"reason": "refused", "plan": "pro"}
    wave = describe(Trouble.WAVE, "far", HostFacts(WELL, 100, 37), RULES, shared)
    assert wave == "37 of 100 instances of host far failed within 120 s, in common: reason refused, plan pro."
    assert describe(Trouble.ENGINE, "far", HostFacts(TWICE, 100, 0), RULES) == SILENT
