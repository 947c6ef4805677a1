"""Over HTTP: what only workers can see is asked of them and waited for, never for ever."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from celery.backends.redis import RedisBackend

from dockmgr.results import LookedUpResults
from instances.access import tokens
from instances.api import reader, streams, threads
from instances.engine import pool
from instances.models import Health
from tasks.app import app
from tests.factories import SECRET, World
from tests.fakes.outside import fails
from tests.web.callers import OVER_HTTP, Caller, Workers, places_taken

pytestmark = OVER_HTTP
ASKING: list[tuple[str, str]] = [
    ("POST", "/instances/c1/check"),
    ("POST", "/instances/c1/validate"),
    ("GET", "/deployments/c1.example.com/validation"),
    ("GET", "/orphans?host=local"),
    ("GET", "/instances/c1/logs"),
    ("GET", "/instances/c1/logs/stream"),
]


def stamp(second: int, nanoseconds: int = 0) -> str:
    return f"2026-03-01T12:00:{second:02}.{nanoseconds:09}Z"


def events(text: str) -> list[tuple[str, Any]]:
    """Kind and data of each server-sent event."""
    found = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if "data" in fields:
            found.append((fields.get("event", "line"), json.loads(fields["data"])))
    return found


@pytest.mark.django_db(transaction=True)
def test_a_check_is_made_by_a_worker_and_recorded(world: World, caller: Caller, workers: Workers) -> None:
    instance = world.instance("c1")
    world.probe.answers[instance.port or 0] = fails("http_503")
    answer = caller.post("/instances/c1/check")
    assert (answer.status, answer.document["status"], answer.document["reason"]) == (
        200,
        "suspect",
        "http_503",
    )
    assert Health.objects.get(instance=instance).failures == 1


def test_a_validation_is_answered_with_what_was_compared(
    world: World, caller: Caller, workers: Workers
) -> None:
    world.instance("c1")
    by_id = caller.post("/instances/c1/validate")
    by_name = caller.get("/deployments/c1.example.com/validation")
    assert (by_id.status, by_name.status) == (200, 200)
    assert by_id.document == by_name.document
    assert by_id.document["checks"]


def test_what_belongs_to_nobody_is_listed(world: World, caller: Caller, workers: Workers) -> None:
    gone = world.instance("gone")
    gone.ports.all().delete()
    gone.delete()
    answer = caller.get("/orphans?host=local")
    assert [(row["kind"], row["customer_id"]) for row in answer.document["orphans"]] == [
        ("container", "gone"),
        ("volume", "gone"),
    ]
    world.engine.unreachable = True
    [sentence] = caller.get("/orphans").document["unanswered"]
    assert sentence.startswith("Host local was not looked at: ")
    assert caller.get("/orphans?host=nowhere").status == 404


def test_a_log_is_read_redacted(world: World, caller: Caller, workers: Workers) -> None:
    instance = world.instance("c1")
    world.engine.write_log(instance.container_name, f"one\nkey {SECRET}\n\x1b[2Jthree\n".encode())
    answer = caller.get("/instances/c1/logs?lines=2&since=10m")
    assert answer.document["lines"] == ["key [redacted]", "\x1b[2Jthree"]
    assert SECRET not in answer.text
    assert workers.asked == [("dockmgr.logs", {"customer_id": "c1", "lines": 2, "since": "10m"})]


@pytest.mark.parametrize(("method", "path"), ASKING)
def test_when_no_worker_answers_the_caller_is_told_so_in_time(
    world: World, caller: Caller, workers: Workers, method: str, path: str
) -> None:
    world.instance("c1")
    workers.absent = True
    began = world.now
    answer = caller.ask(method, path)
    assert (answer.status, answer.kind, answer.headers["Retry-After"]) == (504, "no-answer", "5")
    assert 30 <= (world.now - began).total_seconds() < 31


@pytest.mark.parametrize(("method", "path"), ASKING)
def test_what_is_unknown_is_not_asked_for(
    world: World, caller: Caller, workers: Workers, method: str, path: str
) -> None:
    answer = caller.ask(method, path.replace("local", "nowhere"))
    assert (answer.status, answer.kind, workers.asked) == (404, "unknown", [])


def test_an_engine_out_of_reach_is_503(
    world: World, caller: Caller, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "REST_SECONDS", 0.0)
    world.instance("c1")
    world.engine.unreachable = True
    answer = caller.get("/instances/c1/logs")
    assert (answer.status, answer.kind) == (503, "out-of-reach")


def test_a_log_without_a_container_is_refused_in_one_sentence(
    world: World, caller: Caller, workers: Workers
) -> None:
    instance = world.instance("c1")
    world.engine.lose(instance.container_name)
    answer = caller.get("/instances/c1/logs")
    assert (answer.status, answer.kind) == (409, "conflict")
    assert answer.document["detail"] == "c1 has no container, so there is no log."


def test_a_defect_in_a_worker_shows_nothing_of_itself(
    world: World, caller: Caller, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.instance("c1")
    world.engine.fail_next("logs", RuntimeError(SECRET))
    answer = caller.get("/instances/c1/logs")
    assert (answer.status, answer.kind) == (500, "defect")
    assert SECRET not in answer.text


def test_a_followed_log_brings_each_line_once_and_ends(
    world: World, caller: Caller, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "LASTS", timedelta(minutes=10))
    instance = world.instance("c1")
    twins = f"{stamp(2)} b\n{stamp(2)} b again\n"
    world.engine.write_log(instance.container_name, f"{stamp(1)} a\n{twins}".encode())
    later = [f"{stamp(2)} b once more\n", "", f"{stamp(3)} c {SECRET}\n"]

    def more() -> None:
        if later:
            world.engine.write_log(instance.container_name, later.pop(0).encode())
        else:
            world.clock.coarse = 20

    workers.meanwhile = more
    began = world.now
    answer = caller.get("/instances/c1/logs/stream")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/event-stream")
    said = [data for kind, data in events(answer.text) if kind == "line"]
    assert said == ["a", "b", "b again", "b once more", "c [redacted]"]
    assert events(answer.text)[-1] == ("end", {})
    assert 600 <= (world.now - began).total_seconds() < 700


def test_following_goes_on_behind_the_line_that_was_seen_last(
    world: World, caller: Caller, workers: Workers
) -> None:
    instance = world.instance("c1")
    world.engine.write_log(instance.container_name, f"{stamp(1)} a\n{stamp(2)} b\n{stamp(3)} c\n".encode())
    world.clock.coarse = 60
    answer = caller.get("/instances/c1/logs/stream", **{"last-event-id": stamp(2)})
    assert [data for kind, data in events(answer.text) if kind == "line"] == ["c"]
    assert f"id: {stamp(3)}\n" in answer.text


def test_a_log_is_followed_on_whose_engines_clock_is_set_back(
    world: World, caller: Caller, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An engine says nothing of what its clock says was written before it is asked from."""
    engine, facts, logs = world.engine, world.engine.facts, world.engine.logs
    instance, back = world.instance("c1"), timedelta(0)

    def told(*given: Any, since: datetime | None = None, **named: Any) -> Iterator[bytes]:
        lines = b"".join(logs(*given, **named)).splitlines(keepends=True)
        begins = f"{since:%Y-%m-%dT%H:%M:%S}" if since else ""
        return (line for line in lines if line.decode() >= begins)

    def writes(text: str) -> None:
        engine.write_log(
            instance.container_name, f"{world.now - back:%Y-%m-%dT%H:%M:%S}.000000000Z {text}\n".encode()
        )

    def more() -> None:
        nonlocal back
        if later:
            back = timedelta(hours=3)
            writes(later.pop(0))
        else:
            world.clock.coarse = 60

    later = ["b", "c", "d"]
    monkeypatch.setattr(engine, "facts", lambda: replace(facts(), time=world.now - back))
    monkeypatch.setattr(engine, "logs", told)
    writes("a")
    workers.meanwhile = more
    found = events(caller.get("/instances/c1/logs/stream").text)
    assert [data for kind, data in found if kind == "line"] == ["a", "b", "c", "d"]


def test_following_again_brings_every_line_since_however_few_it_began_with(
    world: World, caller: Caller, workers: Workers
) -> None:
    instance = world.instance("c1")
    lines = "".join(f"{stamp(2, number)} {number}\n" for number in range(500))
    world.engine.write_log(instance.container_name, f"{stamp(1)} a\n{lines}".encode())
    world.clock.coarse = 60
    found = events(caller.get("/instances/c1/logs/stream?lines=10", **{"last-event-id": stamp(1)}).text)
    assert [data for kind, data in found if kind == "line"] == [str(number) for number in range(500)]
    assert "missed" not in [kind for kind, _ in found]


@pytest.mark.parametrize(("written", "kinds"), [(9_999, ["line"]), (12_000, ["missed", "line"])])
def test_a_log_that_grows_by_more_than_is_read_at_once_says_so(
    world: World, caller: Caller, workers: Workers, written: int, kinds: list[str]
) -> None:
    instance = world.instance("c1")
    world.engine.write_log(instance.container_name, f"{stamp(1)} a\n".encode())

    def more() -> None:
        if not workers.asked:
            return
        lines = "".join(f"{stamp(2, number)} {number}\n" for number in range(written))
        world.engine.write_log(instance.container_name, lines.encode())
        workers.meanwhile = lambda: setattr(world.clock, "coarse", 20)

    workers.meanwhile = more
    found = events(caller.get("/instances/c1/logs/stream").text)
    told = [data for kind, data in found if kind == "line"]
    assert list(dict.fromkeys(kind for kind, _ in found[1:-1])) == kinds
    assert [kind for kind, _ in found].count("missed") == kinds.count("missed")
    assert told == ["a", *map(str, range(max(0, written - 10_000), written))]


def test_following_a_quiet_log_since_a_time_brings_nothing_older(
    world: World, caller: Caller, workers: Workers
) -> None:
    world.instance("c1")
    workers.meanwhile = lambda: setattr(world.clock, "coarse", 20 if workers.asked else 0)
    began = world.now
    caller.get("/instances/c1/logs/stream?since=0s")
    assert {kwargs["since"] for _, kwargs in workers.asked} == {began.isoformat()}
    assert len(workers.asked) > 1


@pytest.mark.parametrize("day", ["2026-19-39", "2026-13-01", "2026-02-30", "2026-00-10"])
def test_following_behind_a_time_that_is_none_is_malformed(world: World, caller: Caller, day: str) -> None:
    world.instance("c1")
    answer = caller.get("/instances/c1/logs/stream", **{"last-event-id": f"{day}T12:00:00.000000000Z"})
    assert (answer.status, answer.kind) == (422, "malformed")


def test_a_stream_ends_with_a_problem_when_the_workers_or_the_token_have_gone(
    world: World, caller: Caller, workers: Workers
) -> None:
    instance = world.instance("c1")
    world.engine.write_log(instance.container_name, f"{stamp(1)} a\n".encode())
    workers.meanwhile = lambda: setattr(workers, "absent", bool(workers.asked))
    [_, (kind, problem)] = events(caller.get("/instances/c1/logs/stream").text)
    assert (kind, problem["status"]) == ("error", 504)
    workers.absent, workers.meanwhile = False, lambda: workers.asked and tokens.revoke("admin", world.now)
    [_, (kind, problem)] = events(caller.get("/instances/c1/logs/stream").text)
    assert (kind, problem["status"]) == ("error", 401)


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "check"), ("POST", "validate"), ("GET", "logs"), ("GET", "logs/stream")]
)
def test_who_has_gone_waits_for_no_worker(
    world: World, caller: Caller, workers: Workers, method: str, path: str
) -> None:
    world.instance("c1")
    workers.absent = True
    served, asking = socket.socketpair()
    began, held = world.now, threads.HELD._held
    world.clock.at(3, asking.close)
    with served, asking:
        answer = caller.ask(method, f"/instances/c1/{path}", environ={reader.SOCKET: served})
    assert (answer.status, answer.document["detail"]) == (504, "Whoever asked has gone.")
    assert world.now - began < timedelta(seconds=5)
    assert (threads.HELD._held, streams.PLACES.taken()) == (held, 0)


def test_only_a_few_logs_are_followed_at_once_and_each_gives_its_place_back(
    world: World, caller: Caller, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.instance("c1")
    monkeypatch.setattr(streams, "LASTS", timedelta(seconds=4))
    for _ in range(5):  # more than there are places
        assert caller.get("/instances/c1/logs/stream").status == 200
    assert streams.PLACES.taken() == 0
    with places_taken(-1, -2, -3, -4):
        answer = caller.get("/instances/c1/logs/stream")
    assert (answer.status, answer.kind) == (503, "out-of-reach")


def test_asking_a_worker_opens_no_subscription_that_a_lost_broker_could_hang_in() -> None:
    of_app: Any = app
    assert type(of_app._get_backend()) is LookedUpResults
    assert LookedUpResults.on_task_call is not RedisBackend.on_task_call
