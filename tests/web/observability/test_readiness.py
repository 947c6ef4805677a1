"""Is dockmgr ready: what each part shows, in bounded time, whatever the parts do."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError
from django.test import Client
from pytest_django.fixtures import Settings

from instances.models import Channel, Pulse, Sweep
from instances.observability import readiness, views
from instances.observability.bounded import Questions
from instances.observability.readiness import Parts, Readiness, ask_database, document
from instances.operations import service
from tasks.broker.connection import redis_at
from tests.factories import ASKED, World
from tests.fakes.threads import no_thread_left

# Nobody collected static files here.
pytestmark = pytest.mark.filterwarnings("ignore:No directory at:UserWarning")


def clockwork(world: World, seconds_ago: float = 1) -> None:
    for name in ("clockwork", "queue:health", "queue:operations"):
        Pulse.objects.create(name=name, at=world.now - timedelta(seconds=seconds_ago))


def swept(world: World, seconds_ago: float, state: str = "finished") -> None:
    moment = world.now - timedelta(seconds=seconds_ago)
    Sweep.objects.create(state=state, started_at=moment, finished_at=moment, expires_at=moment)


def state_of(world: World, part: str) -> str:
    found = ask_database(world.now)[part]
    assert found.message.endswith((".", "?")), found
    return found.state


def test_all_is_well_when_the_clockwork_runs_and_a_sweep_is_recent(world: World) -> None:
    world.instance()
    clockwork(world)
    swept(world, 60)
    parts = ask_database(world.now)
    assert {name: part.state for name, part in parts.items()} == {
        "database": "ok",
        "workers": "ok",
        "sweep": "ok",
        "orders": "ok",
        "channels": "ok",
    }
    assert (parts["workers"].age, parts["sweep"].age) == (1, 60)


def test_workers_that_never_showed_themselves_are_missing(world: World) -> None:
    assert state_of(world, "workers") == "failing"


@pytest.mark.parametrize(("seconds", "state"), [(0, "ok"), (60, "ok"), (61, "failing")])
def test_workers_may_be_silent_for_a_minute(world: World, seconds: float, state: str) -> None:
    clockwork(world, seconds)
    assert state_of(world, "workers") == state


@pytest.mark.parametrize(("seconds", "state"), [(900, "ok"), (1800, "ok"), (1803, "failing")])
def test_a_sweep_may_be_two_intervals_old(world: World, seconds: float, state: str) -> None:
    world.instance()
    swept(world, seconds)
    assert state_of(world, "sweep") == state


def test_a_sweep_that_was_given_up_does_not_count(world: World) -> None:
    world.instance()
    swept(world, 5000)
    swept(world, 10, state="incomplete")
    assert state_of(world, "sweep") == "failing"


def test_without_instances_no_sweep_is_missed(world: World) -> None:
    assert state_of(world, "sweep") == "ok"
    swept(world, 5000)
    assert state_of(world, "sweep") == "ok"


def test_the_first_sweep_is_waited_for(world: World) -> None:
    world.instance()
    assert state_of(world, "sweep") == "ok"
    world.clock.advance(1803)
    assert state_of(world, "sweep") == "failing"


def test_a_broken_database_leaves_the_rest_unknown(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_now: object) -> None:
        raise DatabaseError("postgres://user:s3ntinel@host")

    monkeypatch.setattr(readiness, "_workers", broken)
    answer = document(ask_database(world.now))
    assert not answer["ready"]
    states = {name: part["state"] for name, part in answer["parts"].items()}
    assert states.pop("database") == "failing"
    assert states == dict.fromkeys(("workers", "sweep", "orders", "channels"), "unknown")
    assert "s3ntinel" not in str(answer)


def test_a_broker_out_of_reach_is_told_without_its_url(settings: Settings) -> None:
    settings.CELERY_BROKER_URL = "redis://:s3ntinel@127.0.0.1:1/0"
    answer = document(readiness.ask_broker())
    assert answer["parts"]["broker"]["state"] == "failing"
    assert "s3ntinel" not in str(answer)


def test_a_broker_that_is_no_redis_is_told_as_such(settings: Settings) -> None:
    settings.CELERY_BROKER_URL = "amqp://user:s3ntinel@127.0.0.1:1//"
    part = readiness.ask_broker()["broker"]
    assert part.message == "The broker is no Redis that could be asked (DOCKMGR_BROKER_URL)."


@pytest.fixture
def stuck() -> Iterator[threading.Event]:
    """Something that answers only when the test is over."""
    event = threading.Event()
    yield event
    event.set()


def test_what_never_answers_is_given_up_in_time_and_asked_by_one_thread_only(stuck: threading.Event) -> None:
    asked: list[str] = []

    def never() -> str:
        asked.append("once")
        stuck.wait()
        return "late"

    questions = Questions({"stuck": never, "quick": lambda: "here"})
    began = time.monotonic()
    while questions.ask(0.05) != {"quick": "here"}:
        assert time.monotonic() - began < 30
    for _ in range(2):
        assert "stuck" not in questions.ask(0.05)
    assert time.monotonic() - began < 30
    assert asked == ["once"]
    stuck.set()
    assert questions.ask(30) == {"stuck": "late", "quick": "here"}


def test_what_a_question_raises_reaches_whoever_asked() -> None:
    def wrong() -> str:
        raise ValueError("wrong")

    with pytest.raises(ValueError, match="wrong"):
        Questions({"wrong": wrong}).ask(30)


def test_a_question_that_no_thread_could_take_is_asked_again() -> None:
    questions = Questions({"quick": lambda: "here"})
    with no_thread_left():
        questions.ask(30)
    assert questions.ask(30) == {"quick": "here"}


def test_parts_that_do_not_answer_are_named(stuck: threading.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    def never() -> Parts:
        stuck.wait()
        return {}

    monkeypatch.setattr(readiness, "ask_broker", never)
    monkeypatch.setattr(readiness, "ask_database", lambda _now: never())
    monkeypatch.setattr(readiness, "SECONDS", 0.05)
    answer = document(Readiness(lambda: None).look())  # type: ignore[arg-type, return-value]
    assert not answer["ready"]
    assert {name: part["state"] for name, part in answer["parts"].items()} == {
        "database": "failing", "workers": "unknown", "sweep": "unknown", "broker": "failing",
        "orders": "unknown", "channels": "unknown",
    }  # fmt: skip


@pytest.fixture
def ready(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """An installation in which all is well, asked by the clock of the world."""
    monkeypatch.setattr(readiness, "queue_lengths", lambda **_: {"health": 3})
    monkeypatch.setattr(views, "READINESS", Readiness(world.clock.now))
    world.instance()
    clockwork(world)
    swept(world, 60)
    return world


@pytest.mark.django_db(transaction=True)
def test_the_page_is_200_when_ready_and_503_with_the_reason_when_not(ready: World, client: Client) -> None:
    answer = client.get("/readyz")
    assert answer.status_code == 200
    parts: dict[str, Any] = answer.json()["parts"]
    assert answer.json()["ready"] is True
    assert parts["broker"] == {"state": "ok", "message": "It answers; 3 messages wait."}
    assert parts["sweep"]["message"].startswith("The last sweep finished 60 s ago.")
    assert (parts["sweep"]["state"], parts["sweep"]["age_seconds"]) == ("ok", 60.0)
    ready.clock.advance(100)
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["ready"]) == (503, False)
    assert answer.json()["parts"]["workers"]["message"] == "No worker did the clockwork in the last 101 s."


def test_probes_are_answered_under_any_name_and_other_pages_are_not(
    client: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views.READINESS, "look", dict)
    asked = {"Host": "10.1.2.3:8000"}
    pages = ("/healthz", "/readyz", "/metrics", "/admin/login/")
    assert [client.get(page, headers=asked).status_code for page in pages] == [200, 200, 400, 400]
    settings.METRICS_TOKEN = "read-the-metrics"
    assert client.get("/metrics", headers=asked).status_code == 401


def test_the_web_process_says_that_it_lives_without_asking_anything(client: Client) -> None:
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"ok": True, "status": "live"})


def test_the_brokers_own_client_takes_every_form_of_url() -> None:
    forms = {
        "redis://:p@host:6380/2": ("host", 6380, 2),
        "redis+socket:///run/r.sock": ("/run/r.sock", None, 0),
        "rediss://host/1": ("host", 6379, 1),
    }
    for url, expected in forms.items():
        options = redis_at(url, 1).connection_pool.connection_kwargs
        where = options.get("path") or options.get("host")
        port = None if "path" in options else options.get("port", 6379)
        assert (where, port, options.get("db", 0)) == expected


@pytest.mark.parametrize("queue", ["health", "operations"])
def test_a_queue_nobody_serves_is_named(world: World, queue: str) -> None:
    clockwork(world)
    gone = Pulse.objects.filter(name=f"queue:{queue}")
    gone.update(at=world.now - timedelta(seconds=61))
    assert state_of(world, "workers") == "failing"
    gone.delete()
    part = ask_database(world.now)["workers"]
    assert (part.state, f"queue {queue}" in part.message) == ("failing", True)


def test_an_order_that_waits_too_long_is_not_ready(world: World) -> None:
    world.instance()
    service.begin_restart("c1", ASKED, world.outside)
    world.clock.advance(300)
    assert state_of(world, "orders") == "ok"
    world.clock.advance(1)
    assert state_of(world, "orders") == "failing"


@pytest.mark.parametrize(
    ("channels", "state", "told"),
    [
        ([], "ok", "No channel for incidents is in use"),
        ([(True, "")], "ok", "One channel"),
        ([(True, ""), (False, "It answered 404.")], "ok", "One channel"),
        ([(False, "It answered 404.")], "failing", "nobody is told"),
        ([(False, "")], "ok", "No channel for incidents is in use"),
    ],
)
def test_channels_that_all_refused_are_not_ready(
    world: World, channels: list[tuple[bool, str]], state: str, told: str
) -> None:
    for number, (enabled, reason) in enumerate(channels):
        Channel.objects.create(
            name=f"c{number}", url="json://127.0.0.1:9/", enabled=enabled, disabled_reason=reason
        )
    part = ask_database(world.now)["channels"]
    assert (part.state, told in part.message) == (state, True)


def documented() -> str:
    page = (Path(__file__).resolve().parents[3] / "docs" / "observability.md").read_text()
    return page.split("## Readiness")[1].split("\n## ")[0]


def test_the_documented_answer_is_one_that_is_given(world: World) -> None:
    world.instance()
    clockwork(world, 101.2)
    swept(world, 412)
    for name in ("ops", "pager"):
        Channel.objects.create(name=name, url="json://127.0.0.1:9/")
    broker = {"broker": readiness.PartStatus("ok", "It answers; 0 messages wait.")}
    [shown] = re.findall(r"^```json\n(.*?)^```$", documented(), re.DOTALL | re.MULTILINE)
    assert json.loads(shown) == document({**ask_database(world.now), **broker})


def test_every_part_has_a_line_that_says_when_it_fails() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ", documented(), re.MULTILINE)
    assert rows == [name for parts in readiness.SILENT.values() for name in parts]
