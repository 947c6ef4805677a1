"""Checks in hand: a host that answers late holds up no other, and nothing waits past its time."""

from __future__ import annotations

import importlib.util
import select
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest
from celery.concurrency.thread import TaskPool

from instances.checks.check_requests import CheckRequest
from instances.db.installation import Installation
from instances.engine.pool import EngineAddress
from instances.health.response import Outcome
from instances.http import many_probes, pace
from instances.http.exchange import ProbeResult
from instances.http.many_probes import ManyProbes, NextProbe
from tasks import checks, many_checks
from tasks.broker.in_hand import InHand
from tasks.broker.transport import Transport
from tasks.checks import CheckJob
from tasks.many_checks import ManyChecks, TakenJob
from tests.hostile_server import HostileServer, answer

NOW = datetime(2026, 1, 2, tzinfo=UTC)
HANGING, WELL = 500, 50
PATIENCE = 20.0  # seconds


class Written:
    """Whose checks were handed in to be recorded, in their order, and what was seen."""

    def __init__(self) -> None:
        self.checks: dict[str, Any] = {}

    def hand_in(self, item: Any) -> None:
        taken, check = item
        self.checks[taken.tag] = check


class Later:
    """An asker for whom nobody's turn has come yet."""

    def __init__(self) -> None:
        self.turns: list[NextProbe] = []

    def line_up(self, _host: str, turn: NextProbe) -> None:
        self.turns.append(turn)

    def standing(self) -> int:
        return 0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    made = SimpleNamespace(time=NOW)
    made.now = lambda: made.time
    for module in (many_checks, checks):
        monkeypatch.setattr(module, "SYSTEM", made)
    monkeypatch.setattr(InHand, "_tell", lambda _: None)
    yield made


def many_of(asker: Any, most: int = 100) -> tuple[ManyChecks, Written]:
    pool = SimpleNamespace(apply_async=lambda *_, **__: None)
    many = ManyChecks(InHand.at("redis://127.0.0.1:9/0", "", 3600), asker, pool, most)
    many.writer = written = Written()  # type: ignore[assignment]
    return many, written


def a_message(
    number: int, url: str = "http://127.0.0.1:9/", sweep: str | None = None, **limits: Any
) -> TakenJob:
    request = CheckRequest(
        number, f"c{number}", "c", "c", url, "http_2xx", "unix:///e", listed="running", sweep_id=sweep
    )
    return TakenJob(CheckJob(request, **limits), f"{number}-{sweep}")


def hold_and_begin(many: ManyChecks, *messages: TakenJob) -> None:
    for message in messages:
        many.in_hand.hold([message.tag])
        many.begin(message)


def test_a_host_that_hangs_holds_up_no_other(clock: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "STANDS", 0.05)
    monkeypatch.setattr(many_probes, "YOUNG", 0.2)
    many, written = many_of(ManyProbes(timeout=60.0))
    with HostileServer(answer(b"{}")) as server, closing(socket.create_server(("127.0.0.2", 0))) as silent:
        urls = [f"http://127.0.0.2:{silent.getsockname()[1]}/"] * HANGING + [server.url()] * WELL
        queue = deque(a_message(number, url) for number, url in enumerate(urls))
        until = time.monotonic() + PATIENCE
        while len(written.checks) < WELL and time.monotonic() < until:
            for _ in range(min(many.room(), len(queue))):
                hold_and_begin(many, queue.popleft())
            time.sleep(0.01)
        assert {check.seen.outcome for check in written.checks.values()} == {"ok"}
        assert len(written.checks) == WELL
        assert not queue


@pytest.mark.parametrize("why", ["too late", "its host is dark"])
def test_what_need_not_be_asked_any_more_when_its_turn_comes_is_not(
    clock: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    many, written = many_of(asker := Later())
    hold_and_begin(many, a_message(1, until=NOW + timedelta(seconds=60)))
    if why == "too late":
        clock.time += timedelta(seconds=60)
    else:
        monkeypatch.setattr(checks, "_dark", {EngineAddress("unix:///e"): "It is out of reach."})
    assert asker.turns[0]() is None
    assert [check.seen.error for check in written.checks.values()] == (
        [] if why == "too late" else ["It is out of reach."]
    )
    assert many.in_hand.number() == len(written.checks)  # until it is recorded


@pytest.mark.parametrize("first", ["sweep", "look"])
def test_one_that_waits_serves_a_sweep_and_a_look(clock: SimpleNamespace, first: str) -> None:
    many, _ = many_of(asker := Later())
    both = [a_message(1, sweep="s"), a_message(1)]
    hold_and_begin(many, *(both if first == "sweep" else reversed(both)))
    assert len(asker.turns) == 1
    assert "1-s" in many.in_hand  # which says for whom it is, should it come again
    assert many.in_hand.number() == 1
    assert asker.turns[0]()


def test_no_more_is_taken_than_a_process_has_memory_for(
    clock: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(many_checks, "MOST_WAITING", 7)
    many, _ = many_of(Later())
    hold_and_begin(many, *map(a_message, range(5)))
    many.in_hand.set_aside(["0-None"])
    assert many.room() == 2


def test_what_waits_when_its_worker_ends_is_left_to_others(
    clock: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[str] = []
    score: Callable[..., None] = lambda _, tags, seconds: given.extend(tags)  # noqa: E731
    monkeypatch.setattr(InHand, "_score", score)
    many, _ = many_of(asker := Later())
    hold_and_begin(many, a_message(1))
    many.finish()
    assert (given, asker.turns[0](), many.room()) == (["1-None"], None, 0)


def test_one_that_can_not_be_begun_is_told_and_left(
    clock: SimpleNamespace, caplog: pytest.LogCaptureFixture
) -> None:
    many, _ = many_of(asker := Later())
    no_text: Any = 7
    hold_and_begin(many, a_message(1, url=no_text), a_message(2))
    assert "1-None" not in many.in_hand
    assert len(asker.turns) == 1
    assert "Beginning a check failed" in caplog.text


@pytest.mark.parametrize("when", ["its turn comes", "it is answered"])
def test_one_that_meets_a_defect_is_told_and_left(
    clock: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, when: str
) -> None:
    """Held for as long as the process lives, it would take room from all others."""
    many, _ = many_of(asker := Later())
    hold_and_begin(many, a_message(1, url="http://127.0.0.1:9/"))

    def defect(*_: Any) -> None:
        raise TypeError

    if when == "its turn comes":
        monkeypatch.setattr(checks, "known_dark", defect)
        assert asker.turns[0]() is None
    else:
        turn = asker.turns[0]()
        monkeypatch.setattr(many_checks, "settled", defect)
        assert turn
        turn[1](ProbeResult(Outcome.OK, "", 200, 1, None, ""), 0.1)
    assert many.in_hand.number() == 0
    assert "a check failed" in caplog.text


def test_a_system_without_epoll_asks_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in vars(select) if name.lower().startswith("epoll")]:
        monkeypatch.delattr(select, name)
    spec = importlib.util.find_spec("instances.http.many_probes")
    assert spec
    assert spec.loader
    there = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(there)
    assert there.CAN_ASK_MANY is False
    monkeypatch.setattr(many_checks, "CAN_ASK_MANY", there.CAN_ASK_MANY)
    consumer = MagicMock(hub=object(), pool=MagicMock(spec=TaskPool))
    consumer.connection.transport = MagicMock(spec=Transport)
    many_checks.strategy(MagicMock(), MagicMock(), consumer)
    assert "taker" not in vars(consumer.connection.transport)


def test_a_worker_that_takes_many_knows_whose_they_are_before_the_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As tasks of Celery those that waited for too long are a line in its log each."""
    own = Installation(ask=lambda: "ours")
    monkeypatch.setattr(many_checks, "INSTALLATION", own)
    monkeypatch.setattr(many_checks, "many_checks", MagicMock())
    consumer = MagicMock(hub=object(), pool=MagicMock(spec=TaskPool))
    consumer.connection.transport = MagicMock(spec=Transport)
    many_checks.strategy(MagicMock(), MagicMock(), consumer)
    assert own.known() == "ours"
