"""What changing health means for an incident: when it begins, rises and ends, as tables."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from instances.health.assess import assess
from instances.health.restarts import resumed
from instances.health.state import Policy, State, Status
from instances.incidents.rules import (
    FLEET,
    SELF,
    Availability,
    Effect,
    Severity,
    availability,
    effect,
    host_in,
    host_key,
    instance_key,
    severity_of,
    worse,
)
from tests.pure.moments import HEALTHY, at, down, fail, ok

POLICY = Policy()
PAUSED = replace(resumed(HEALTHY), status=Status.PAUSED)
SUSPECT = down(Status.SUSPECT, 1)
UNHEALTHY = down(Status.UNHEALTHY, 3)
RESTARTING = replace(down(Status.RESTARTING, 3, used=1), next_check_at=None)
FAILED = down(Status.FAILED, 6, used=3)
AGAIN = replace(SUSPECT, flaps=1, flaps_since=at(-60))
FLAPPING = replace(SUSPECT, flaps=3, flaps_since=at(-600))

# name: (before, after, what it does to the incident)
EFFECTS: dict[str, tuple[State, State, Effect | None]] = {
    "still healthy": (HEALTHY, HEALTHY, None),
    "first check ever": (State(), HEALTHY, None),
    "a restart by hand of a healthy one": (HEALTHY, replace(HEALTHY, status=Status.RESTARTING), None),
    "first failure": (HEALTHY, SUSPECT, Effect(begins=True, moved=True)),
    "first failure that is certain": (HEALTHY, down(Status.UNHEALTHY, 1), Effect(begins=True, moved=True)),
    "failed again soon after": (HEALTHY, AGAIN, Effect(begins=True, again=True, moved=True)),
    "failed again and again": (
        HEALTHY,
        FLAPPING,
        Effect(begins=True, again=True, moved=True, flapping=True),
    ),
    "second failure": (SUSPECT, down(Status.SUSPECT, 2), None),
    "third failure": (SUSPECT, UNHEALTHY, Effect(raises=Severity.WARNING, moved=True)),
    "fourth failure": (UNHEALTHY, down(Status.UNHEALTHY, 4), None),
    "a restart begins": (UNHEALTHY, RESTARTING, Effect(restart=True, moved=True)),
    "given up": (RESTARTING, FAILED, Effect(raises=Severity.CRITICAL, moved=True)),
    "still given up": (FAILED, replace(FAILED, failures=7), None),
    "lost sight of": (UNHEALTHY, down(Status.UNKNOWN, 3), Effect(moved=True)),
    "healthy again": (RESTARTING, HEALTHY, Effect(ends=True, moved=True)),
    "one success of two": (SUSPECT, down(Status.SUSPECT, 0, successes=1), None),
    "paused while down": (UNHEALTHY, PAUSED, Effect(ends=True, abandoned=True, moved=True)),
    "paused while healthy": (HEALTHY, PAUSED, None),
    "healthy, but flaps": (
        FLAPPING,
        replace(HEALTHY, flaps=3, flaps_since=at(-600)),
        Effect(ends=True, moved=True, flapping=True),
    ),
}


@pytest.mark.parametrize(("before", "after", "expected"), EFFECTS.values(), ids=EFFECTS.keys())
def test_a_change_of_health_does_this_to_the_incident(
    before: State, after: State, expected: Effect | None
) -> None:
    assert effect(before, after, POLICY) == expected


AVAILABILITIES = {
    "healthy": (HEALTHY, Availability.UP),
    "suspect": (SUSPECT, Availability.DOWN),
    "restarting in an outage": (RESTARTING, Availability.DOWN),
    "given up": (FAILED, Availability.DOWN),
    "answers once after an outage": (down(Status.SUSPECT, 0, successes=1), Availability.DOWN),
    "starts": (State(Status.STARTING), Availability.UNKNOWN),
    "starts in an outage": (down(Status.STARTING, 2), Availability.DOWN),
    "host out of reach": (State(Status.UNKNOWN), Availability.UNKNOWN),
    "host out of reach in an outage": (down(Status.UNKNOWN, 2), Availability.UNKNOWN),
    "paused": (PAUSED, Availability.UNWATCHED),
}


@pytest.mark.parametrize(("state", "expected"), AVAILABILITIES.values(), ids=AVAILABILITIES.keys())
def test_what_a_customer_had(state: State, expected: Availability) -> None:
    assert availability(state) is expected


def test_severity_has_an_order_and_never_falls() -> None:
    assert [severity.rank for severity in Severity] == [0, 1, 2]
    assert worse("warning", "info") is Severity.WARNING
    assert worse("warning", "critical") is Severity.CRITICAL
    assert severity_of(down(Status.SUSPECT, 2), POLICY) is Severity.INFO


def outage(state: State, begins: float, ends: float) -> State:
    """Fail once at `begins` and pass twice until `ends`."""
    for observation in (fail(begins), ok(ends - 1), ok(ends)):
        state = assess(observation, state, POLICY, observation.finished_at).state
    return state


def test_each_failure_soon_after_a_recovery_is_a_flap() -> None:
    state = HEALTHY
    flaps = []
    for start in (0, 300, 600, 900, 1200):
        state = outage(state, start, start + 60)
        flaps.append(state.flaps)
    assert flaps == [0, 1, 2, 3, 4]


def test_flaps_spread_over_more_than_an_hour_are_counted_anew() -> None:
    state = outage(HEALTHY, 0, 1800)
    state = outage(state, 2100, 4000)
    state = outage(state, 4300, 5800)
    assert (state.flaps, state.flaps_since) == (2, at(2100))
    state = outage(state, 6200, 6300)
    assert (state.flaps, state.flaps_since) == (1, at(6200))


def test_what_flaps_must_stay_clean_for_longer() -> None:
    flapping = HEALTHY
    for start in (0, 300, 600, 900):
        flapping = outage(flapping, start, start + 60)
    assert outage(flapping, 960 + 900, 2000).flaps == 4
    assert outage(flapping, 960 + 901, 2000).flaps == 0


def test_a_failure_long_after_a_recovery_is_a_new_outage() -> None:
    once = outage(HEALTHY, 0, 60)
    assert outage(once, 60 + 600, 700).flaps == 1
    assert outage(once, 60 + 601, 700).flaps == 0


@pytest.mark.parametrize("name", ["local", "host:local", "10.0.0.1", "health:c1"])
def test_a_hosts_name_can_be_read_from_the_key_of_its_incident_and_from_no_other(name: str) -> None:
    assert host_in(host_key(name)) == name
    assert [host_in(key) for key in (instance_key("c1"), FLEET, SELF)] == ["", "", ""]


def test_keys_of_different_things_differ() -> None:
    assert (
        len({FLEET, SELF, *(key(name) for key in (instance_key, host_key) for name in ("c1", "fleet"))}) == 6
    )
