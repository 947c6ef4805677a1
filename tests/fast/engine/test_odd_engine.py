"""An engine whose answers are no answers: an error in one sentence, and nothing that looks like "gone"."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from instances.engine.docker_engine import DockerEngine
from instances.engine.wording import brief
from instances.errors import DockmgrError, EngineUnreachable, EngineUnusable, PermanentError
from tests.fakes.stub_server import Answer, StubServer, as_json

CALLS: dict[str, Callable[[DockerEngine], object]] = {
    "/containers/json": lambda engine: engine.list_containers(),
    "/containers/c/json": lambda engine: engine.inspect("c"),
    "/images/i/json": lambda engine: engine.image("i"),
    "/info": lambda engine: engine.facts(),
    "/volumes/v": lambda engine: engine.volume_labels("v"),
}


@contextmanager
def engine_saying(path: str, answer: Answer, version: Any = "1.41") -> Iterator[DockerEngine]:
    script = {"/version": as_json({"ApiVersion": version}), f"/v1.41{path}": answer}
    server = StubServer(script.get)
    with server.running(), closing(DockerEngine(f"tcp://{server.address}", timeout=5)) as engine:
        yield engine


@pytest.mark.parametrize("path", CALLS)
@pytest.mark.parametrize("answer", [5, [None] * 3])
def test_an_answer_of_another_form_is_an_error_in_one_sentence(path: str, answer: Any) -> None:
    if path == "/containers/json" and isinstance(answer, list):
        answer = {"message": "?"}
    with engine_saying(path, as_json(answer)) as engine, pytest.raises(DockmgrError) as caught:
        CALLS[path](engine)
    assert str(caught.value).endswith(": its answer can't be read.")
    assert not isinstance(caught.value, EngineUnreachable)


@pytest.mark.parametrize("status", [404, 500])
@pytest.mark.parametrize("said", [b"[1]", b"{}", b'{"message": 5}', b"[" * 200_000, b"\xff"], ids=range(5))
def test_a_refusal_in_an_odd_form_is_one_sentence(status: int, said: bytes) -> None:
    refusal = Answer(status, said)
    with engine_saying("/containers/c/json", refusal) as engine, pytest.raises(DockmgrError) as caught:
        engine.inspect("c")
    assert len(str(caught.value)) < 700


def test_a_proxy_that_does_not_reach_its_engine_is_an_engine_out_of_reach() -> None:
    page = b"<html><body><h1>503 Service Unavailable</h1>\nNo server is available.\n</body></html>\n"
    told = r"is out of reach: it, or a proxy before it, answers with status 503\.$"
    for call in ("/containers/json", "/containers/c/json", "/info"):
        answer = Answer(503, page, "text/html")
        with engine_saying(call, answer) as engine, pytest.raises(EngineUnreachable, match=told):
            CALLS[call](engine)
    assert brief(page.decode()) == "503 Service Unavailable No server is available."


def test_an_answer_too_deep_to_be_read_is_an_error_in_one_sentence() -> None:
    answer = Answer(body=b"[" * 200_000)
    with engine_saying("/containers/c/json", answer) as engine, pytest.raises(DockmgrError):
        engine.inspect("c")


@pytest.mark.parametrize("said", [b'[{"Id": "c0ffee", "State": "\xff"}]', b'[{"Id": "c0ffee", "State":', b""])
def test_a_list_that_breaks_off_or_has_no_text_lacks_nobody(said: bytes) -> None:
    with (
        engine_saying("/containers/json", Answer(body=said)) as engine,
        pytest.raises(DockmgrError) as caught,
    ):
        engine.list_containers()
    assert str(caught.value).endswith(": its answer can't be read.")


def test_an_engine_with_an_odd_version_is_none() -> None:
    with engine_saying("/info", as_json({}), version=["1.41"]) as engine, pytest.raises(EngineUnreachable):
        engine.facts()


def test_a_version_the_client_no_longer_speaks_is_named() -> None:
    with engine_saying("/info", as_json({}), "1.1") as engine, pytest.raises(EngineUnusable) as caught:
        engine.facts()
    assert "API version 1.1, which is too old" in str(caught.value)


def test_what_the_client_itself_refuses_is_not_the_hosts_trouble() -> None:
    with engine_saying("/info", as_json({})) as engine, pytest.raises(PermanentError) as caught:
        engine.logs("", lines=1)  # the client sends no request without a name
    assert str(caught.value).startswith("The Docker client did not read the log of")


@pytest.mark.parametrize("said", [Answer(404), Answer(200)], ids=["gone", "never ran"])
def test_podman_4_says_nothing_of_what_uses_nothing(said: Answer) -> None:
    with engine_saying("/containers/c/stats", said) as engine:
        assert engine.usage("c") is None
