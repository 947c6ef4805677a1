"""Over HTTP: callers who wait for workers that don't answer leave threads to everybody else."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from instances.api import threads
from instances.api.threads import HELD, Threads
from tests.factories import World
from tests.web.callers import OVER_HTTP, Caller, Workers, places_taken

pytestmark = OVER_HTTP
ASKING = (("POST", "check"), ("POST", "validate"), ("GET", "logs"), ("GET", "logs/stream"))


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "PATIENCE", 0.01)


@contextmanager
def waiting(number: int) -> Iterator[None]:
    """While the block runs, so many callers wait for a worker."""
    taken = [HELD.take() for _ in range(number)]
    try:
        assert all(taken)
        yield
    finally:
        for _ in taken:
            HELD.give_back()


def test_where_many_wait_nobody_else_does_and_what_needs_no_worker_is_answered(
    world: World, caller: Caller, workers: Workers
) -> None:
    world.instance("c1")
    with waiting(HELD.most):
        for method, path in (
            ("POST", "/check"),
            ("POST", "/validate"),
            ("GET", "/logs"),
            ("GET", "/logs/stream"),
        ):
            answer = caller.ask(method, f"/instances/c1{path}")
            assert (answer.status, answer.kind, "Retry-After" in answer.headers) == (
                503,
                "out-of-reach",
                True,
            )
        assert caller.get("/events").status == 503
        assert caller.get("/instances/c1").status == 200
    assert workers.asked == []
    assert caller.get("/instances/c1/logs").status == 200


def test_streams_count_as_those_who_wait(world: World, caller: Caller, workers: Workers) -> None:
    world.instance("c1")
    with places_taken(-1, -2, -3, -4), waiting(HELD.most - 5):
        assert caller.get("/instances/c1/logs").status == 200
    with places_taken(-1, -2, -3, -4), waiting(HELD.most - 4):
        assert caller.get("/instances/c1/logs").status == 503


def test_a_stream_that_is_refused_holds_no_thread(world: World, caller: Caller, workers: Workers) -> None:
    with places_taken(-1, -2, -3, -4):
        assert [caller.get("/events").status for _ in range(HELD.most)] == [503] * HELD.most
    with waiting(HELD.most):
        assert caller.get("/events").status == 503


def test_an_answer_that_is_awaited_leaves_its_thread(world: World, caller: Caller, workers: Workers) -> None:
    world.instance("c1")
    workers.absent = True
    for _ in range(HELD.most + 1):
        assert caller.post("/instances/c1/check").status == 504


@pytest.mark.parametrize(("of", "most"), [(2, 1), (4, 3), (8, 6), (16, 12)])
def test_a_quarter_is_left(of: int, most: int) -> None:
    assert Threads(of).most == most


def test_who_finds_all_threads_held_waits_for_one_that_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "PATIENCE", 60.0)
    held = Threads(2)
    assert held.take() and not held.take()
    threading.Thread(target=held.give_back).start()
    assert held.take(60.0)


def test_who_finds_all_threads_held_for_long_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter([100.0, 100.0 + threads.PATIENCE * 2])
    monkeypatch.setattr(threads, "monotonic", lambda: next(moments))
    held = Threads(2)
    assert held.take()
    assert not held.take(60.0)
