"""Who shares a container's network: known also where a stranger's container can't be asked about."""

from __future__ import annotations

import threading
from contextlib import closing
from itertools import product

import pytest

from instances.engine.docker_engine import DockerEngine
from instances.errors import EngineUnreachable
from tests.fakes.stub_server import Answer, StubServer, as_json
from tests.rows import at_once

OWN, FOREIGN = "c" * 64, "f" * 64
PATH = f"/v1.41/containers/{FOREIGN}/json"
TOLD = {"Id": OWN, "Name": "/dockmgr-c1", "State": {"Status": "running"}, "Config": {}, "HostConfig": {}}


def dependents(about: Answer | None, *, shares: bool, goes_away: bool = False) -> list[str]:
    """What is told where the engine answers so about a stranger's container; None for a call that hangs."""
    mode = f"container:{OWN}" if shares else "bridge"
    row = {"Id": FOREIGN, "Names": ["/sidecar"], "State": "running", "HostConfig": {"NetworkMode": mode}}
    script = {
        "/version": as_json({"ApiVersion": "1.41"}),
        f"/v1.41/containers/{OWN}/json": as_json(TOLD),
        "/v1.41/containers/json": as_json([row]),
    }
    over, hangs = threading.Event(), threading.Event()

    def answer(path: str) -> Answer | None:
        if path == PATH and about is None:
            hangs.set()
            over.wait(20)
        if goes_away and hangs.is_set():
            return Answer(500)
        return Answer(body=b"OK") if path.endswith("/_ping") else about if path == PATH else script.get(path)

    server = StubServer(answer)
    with server.running(), closing(DockerEngine(f"tcp://{server.address}", timeout=0.3)) as engine:
        try:
            return engine.dependents(OWN)
        finally:
            over.set()


def test_a_strangers_container_that_can_not_be_asked_about_is_known_by_the_list() -> None:
    def case(answered: tuple[Answer | None, bool, bool]) -> None:
        about, shares, goes_away = answered
        if goes_away:
            with pytest.raises(EngineUnreachable):
                dependents(about, shares=shares, goes_away=True)
            return
        assert dependents(about, shares=shares) == (["sidecar"] if shares else [])

    answers = None, Answer(500, b'{"message": "layer not found"}'), as_json({})
    at_once([*product(answers, (True, False), [False]), (None, False, True)], case)
