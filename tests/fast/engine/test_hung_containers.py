"""An engine that answers, but not about one container: that is the container's trouble, soon told."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
import requests

from instances.engine import client
from instances.engine.docker_engine import DockerEngine
from instances.errors import ContainerHung, EngineUnreachable
from tests.fakes.stub_server import Answer, StubServer, as_json
from tests.rows import at_once

SHORT = 0.2
IN_TIME = 3.0
CALLS: dict[str, Callable[[DockerEngine], object]] = {
    "inspect": lambda engine: engine.inspect("c"),
    "describe": lambda engine: engine.describe("c"),
    "start": lambda engine: engine.start("c"),
    "stop": lambda engine: engine.stop("c", timeout=0),
    "remove": lambda engine: engine.remove("c"),
    "rename": lambda engine: engine.rename("c", "d"),
    "restart policy": lambda engine: engine.set_restart_policy("c", {"Name": "no"}),
    "logs": lambda engine: engine.logs("c", lines=1),
}
ANSWERS = {
    "/version": as_json({"ApiVersion": "1.41"}),
    "/v1.41/_ping": Answer(body=b"OK"),
    "/v1.41/containers/json": as_json([]),
}


@contextmanager
def hung(silent: tuple[str, ...] = (), timeout: float = SHORT) -> Iterator[DockerEngine]:
    """An engine that says nothing about containers of their own, nor about paths with these words."""
    thaw = threading.Event()

    def answer(path: str) -> Answer | None:
        about_one = "/containers/c" in path
        if about_one or any(word in path for word in silent):
            thaw.wait(20)
        return ANSWERS.get(path) or (Answer(body=b"OK") if path.endswith("/_ping") else None)

    with (
        StubServer(answer).running() as server,
        closing(DockerEngine(f"tcp://{server.address}", timeout=timeout)) as engine,
    ):
        yield engine
        thaw.set()


SILENCES: dict[str, tuple[str, Callable[[DockerEngine], object]]] = {
    "of the engine after a call": ("_ping", CALLS["inspect"]),
    "to a list although a ping is answered": ("/containers/json", lambda engine: engine.list_containers()),
    "to the ping before a change": ("/v1.41/_ping", CALLS["stop"]),
}


def test_a_call_that_times_out_while_the_engine_answers_is_the_containers_trouble_and_else_the_engines(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    timeout = 2 * SHORT  # many are asked at once
    monkeypatch.setattr(client, "CHANGE_TIMEOUT", timeout)

    def case(name: str) -> None:
        if name in SILENCES:
            silent, call = SILENCES[name]
            with hung(silent=(silent,)) as engine, pytest.raises(EngineUnreachable):
                call(engine)
            return
        with hung(timeout=timeout) as engine:
            began = time.monotonic()
            with pytest.raises(ContainerHung, match="answers, but its calls about this container do not"):
                CALLS[name](engine)
            assert time.monotonic() - began < IN_TIME
            assert engine.list_containers() == []

    at_once([*CALLS, *SILENCES], case)


def test_a_stop_is_waited_for_as_long_as_the_container_has_and_then_as_for_any_change(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    send, waits = requests.Session.send, {}

    def sent(session: requests.Session, request: requests.PreparedRequest, **asked: Any) -> Any:
        waits[request.path_url.partition("?")[0]] = asked["timeout"]
        return send(session, request, **asked)

    monkeypatch.setattr(requests.Session, "send", sent)
    stop = "/v1.41/containers/c/stop"
    with (
        StubServer({**ANSWERS, stop: Answer(204)}.get).running() as server,
        closing(DockerEngine(f"tcp://{server.address}", timeout=SHORT)) as engine,
    ):
        engine.stop("c", timeout=7)
    assert waits[stop] == (SHORT, client.CHANGE_TIMEOUT + 7)
