"""Over HTTP: a token may call so often, and so may an address without a good one."""

from __future__ import annotations

import logging
from collections import Counter as Tally

import pytest
from pytest_django.fixtures import Settings

from instances.api import limits
from instances.models import AuditEntry
from tasks.broker import counters
from tasks.broker.counters import Counter
from tests.factories import World
from tests.web.callers import OVER_HTTP, Caller, a_caller

pytestmark = OVER_HTTP


class Shared:
    """A counter in memory, shared as the real one is."""

    def __init__(self) -> None:
        self.counts: Tally[str] = Tally()

    def add(self, key: str, keep: int) -> int | None:
        assert keep > limits.WINDOW
        self.counts[key] += 1
        return self.counts[key]


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> Shared:
    counter = Shared()
    monkeypatch.setattr(limits, "COUNTER", counter)
    return counter


def test_a_token_may_call_so_often_a_minute(
    world: World, caller: Caller, shared: Shared, settings: Settings
) -> None:
    settings.API_RATE = 3
    world.clock.advance(10)
    answers = [caller.get("/instances") for _ in range(5)]
    assert [answer.status for answer in answers] == [200, 200, 200, 429, 429]
    assert [answer.headers["RateLimit-Remaining"] for answer in answers] == ["2", "1", "0", "0", "0"]
    assert {answer.headers["RateLimit-Limit"] for answer in answers} == {"3"}
    assert (answers[3].kind, answers[3].headers["Retry-After"]) == ("too-many", "50")
    world.clock.advance(50)
    assert caller.get("/instances").status == 200


def test_tokens_are_counted_apart(world: World, caller: Caller, shared: Shared, settings: Settings) -> None:
    settings.API_RATE = 1
    other = a_caller(world, "read")
    assert [c.get("/instances").status for c in (caller, other, caller, other)] == [200, 200, 429, 429]


def test_guessing_is_slowed_down_and_good_tokens_of_the_address_are_not(
    world: World, caller: Caller, shared: Shared
) -> None:
    answers = [caller.get("/instances", authorization="Bearer dm_guess") for _ in range(23)]
    assert [answer.status for answer in answers] == [401] * 20 + [429] * 3
    assert (answers[-1].kind, answers[-1].headers["Retry-After"]) == ("too-many", "60")
    assert caller.get("/instances").status == 200
    elsewhere = caller.client.get("/api/v1/instances", REMOTE_ADDR="198.51.100.1")
    assert elsewhere.status_code == 401


def test_a_flood_of_guesses_does_not_flood_the_audit_log(
    world: World, caller: Caller, shared: Shared
) -> None:
    for _ in range(60):
        caller.post("/instances/c1/restart", authorization="Bearer dm_guess")
    assert AuditEntry.objects.count() == 21


def test_without_the_counter_calls_pass_and_one_line_says_so(
    world: World, caller: Caller, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    times = iter((1000.0, 1000.0, 1001.0, 1030.0, 1030.0, 1061.0, 1061.0))
    monkeypatch.setattr(counters, "monotonic", lambda: next(times))
    monkeypatch.setattr(limits, "COUNTER", Counter("redis+socket:///nowhere/redis.sock", ""))
    with caplog.at_level(logging.WARNING, "tasks.broker.counters"):
        for _ in range(4):  # fails, is left alone, fails again, fails a minute later
            answer = caller.get("/instances")
            assert (answer.status, "RateLimit-Limit" in answer.headers) == (200, False)
    assert [record.getMessage() for record in caplog.records if record.name == "tasks.broker.counters"] == [
        "Calls of the API are not being counted: "
        "The broker can't be reached: nothing listens there (DOCKMGR_BROKER_URL)."
    ] * 2


@pytest.mark.parametrize("url", ["amqp://127.0.0.1/", "memory://", "sentinel://127.0.0.1:1/"])
def test_a_broker_that_is_no_redis_counts_nothing(url: str) -> None:
    assert Counter(url, "").add("key", 120) is None
