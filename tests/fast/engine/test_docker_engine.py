"""The engine client against servers that are silent, replaced, cut off or no engine at all."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from instances.containers.spec import ContainerSpec
from instances.engine.certificates import TlsFiles
from instances.engine.docker_engine import DockerEngine
from instances.engine.payloads import create_arguments
from instances.errors import (
    DockmgrError,
    EngineUnreachable,
    EngineUnusable,
    PermanentError,
    RequestError,
    TransientError,
)
from tests.fakes.facts import created_facts, image_facts
from tests.fakes.inspected import container_answer
from tests.fakes.stub_server import Answer, StubServer, as_json
from tests.hostile_server import HostileServer, self_signed, server_tls
from tests.rows import at_once

SHORT, LONG = 0.1, 30.0  # for engines that stay silent, and for those that answer
IN_TIME = 15.0
SPEC = ContainerSpec(name="c", image="i:1", labels={}, env={"KEY": "sentinel-value-1"})
CALLS: dict[str, Callable[[DockerEngine], object]] = {
    "ping": lambda engine: engine.ping(),
    "list": lambda engine: engine.list_containers(),
    "inspect": lambda engine: engine.inspect("c"),
    "describe": lambda engine: engine.describe("c"),
    "describe image": lambda engine: engine.describe_image("i:1"),
    "image": lambda engine: engine.image("i:1"),
    "pull": lambda engine: engine.pull("i:1"),
    "create": lambda engine: engine.create(SPEC),
    "start": lambda engine: engine.start("c"),
    "stop": lambda engine: engine.stop("c", timeout=30),
    "remove": lambda engine: engine.remove("c"),
    "rename": lambda engine: engine.rename("c", "d"),
    "create volume": lambda engine: engine.create_volume("v", {}),
    "volume labels": lambda engine: engine.volume_labels("v"),
    "remove volume": lambda engine: engine.remove_volume("v"),
    "logs": lambda engine: engine.logs("c", lines=1),
    "follow": lambda engine: engine.logs("c", lines=1, follow=True),
}
Script = dict[str, Answer]
ENGINE: Script = {
    "/version": as_json({"ApiVersion": "1.41"}),
    "/v1.41/_ping": Answer(body=b"OK"),
    "/v1.41/containers/json": as_json([]),
    "/v1.41/containers/c/json": as_json({"Config": {"Tty": True}}),
}


def an_engine(address: str, timeout: float = LONG) -> closing[DockerEngine]:
    return closing(DockerEngine(f"tcp://{address}", timeout=timeout))


@contextmanager
def scripted(script: Script) -> Iterator[tuple[DockerEngine, StubServer]]:
    with StubServer(script.get).running() as server, an_engine(server.address) as engine:
        yield engine, server


def test_an_engine_that_never_answers_or_freezes_later_is_given_up_in_time() -> None:
    thaw = threading.Event()

    def answer(path: str) -> Answer | None:
        if path != "/version":
            thaw.wait(LONG)
        return ENGINE.get(path)

    def case(row: tuple[str, str]) -> None:
        address, call = row
        with an_engine(address, SHORT) as engine:
            start = time.monotonic()
            said = f"{address} .* did not answer in time" if address == silent else None
            with pytest.raises(EngineUnreachable, match=said):
                CALLS[call](engine)
            assert time.monotonic() - start < IN_TIME

    with HostileServer("never answers") as never, StubServer(answer).running() as freezes:
        silent = f"127.0.0.1:{never.port}"  # no call gets beyond asking for the version
        at_once([(silent, "ping"), *((freezes.address, call) for call in CALLS)], case)
        thaw.set()


def test_a_missing_socket_is_named(tmp_path: Path) -> None:
    url = f"unix://{tmp_path}/none.sock"
    with pytest.raises(EngineUnreachable) as caught:
        DockerEngine(url).ping()
    assert str(caught.value) == f"The Docker Engine at {url} is out of reach: No such file or directory."


@pytest.mark.parametrize("url", ["nonsense://host", "tcp://user:sentinel-value-1@host:1"])
def test_a_url_that_cannot_work_is_the_operators_to_mend_and_shows_no_password(url: str) -> None:
    with pytest.raises(EngineUnusable) as caught:
        DockerEngine(url).ping()
    assert "sentinel" not in "".join(traceback.format_exception(caught.value))


def test_the_version_is_negotiated_once_however_many_ask_first() -> None:
    with scripted(ENGINE) as (engine, server):
        threads = [threading.Thread(target=engine.ping) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert server.asked.count("GET /version") == 1
        assert server.asked.count("GET /v1.41/_ping") == 20


def test_a_failed_negotiation_is_tried_again_by_the_next_call() -> None:
    script = {**ENGINE, "/version": as_json({"message": "starting"}, 503)}
    with scripted(script) as (engine, server):
        with pytest.raises(EngineUnreachable):
            engine.ping()
        script["/version"] = ENGINE["/version"]
        engine.ping()
        assert server.asked == ["GET /version", "GET /version", "GET /v1.41/_ping"]


def test_an_engine_replaced_by_another_version_is_negotiated_with_again() -> None:
    script = dict(ENGINE)
    with scripted(script) as (engine, _):
        engine.ping()
        script["/version"] = as_json({"ApiVersion": "1.52"})
        script["/v1.41/_ping"] = as_json({"message": "client version 1.41 is too old. Minimum is 1.44"}, 400)
        script["/v1.52/_ping"] = Answer(body=b"OK")
        with pytest.raises(TransientError):
            engine.ping()
        engine.ping()


def test_a_closed_engine_connects_again_when_it_is_used() -> None:
    with scripted(ENGINE) as (engine, server):
        engine.ping()
        engine.close()
        assert engine.list_containers() == []
        assert server.asked.count("GET /version") == 2


@pytest.mark.parametrize(
    "version",
    [as_json({}), as_json([1]), Answer(body=b"hello"), as_json({"message": "no"}, 404), Answer(502)],
)
def test_a_server_that_is_no_engine_is_out_of_reach(version: Answer) -> None:
    with scripted({"/version": version}) as (engine, _), pytest.raises(EngineUnreachable):
        engine.inspect("c")


def test_somebody_elses_404_is_not_a_missing_container() -> None:
    with scripted({"/version": ENGINE["/version"]}) as (engine, _), pytest.raises(PermanentError):
        engine.inspect("c")


def test_what_has_no_name_is_missing() -> None:
    with scripted(ENGINE) as (engine, _):
        assert (engine.inspect(""), engine.describe(""), engine.image("")) == (None, None, None)


def test_the_environments_proxies_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with scripted(ENGINE) as (engine, _):
        engine.ping()


def test_a_refusal_never_tells_a_value_of_the_environment() -> None:
    refusal = as_json({"message": 'invalid environment variable: "=sentinel-value-1"'}, 400)
    script = {**ENGINE, "/v1.41/containers/create": refusal}
    with scripted(script) as (engine, _), pytest.raises(PermanentError) as caught:
        engine.create(SPEC)
    assert "invalid environment variable" in str(caught.value)
    assert "sentinel" not in "".join(traceback.format_exception(caught.value))


def pull_of(body: bytes, cut_off: bool = False) -> Script:
    return {**ENGINE, "/v1.41/images/create": Answer(body=body, cut_off=cut_off)}


@pytest.mark.parametrize(
    "script",
    [
        pull_of(b'{"status": "Pulling"}\n{"error": "layer verification failed"}\n'),
        pull_of(b'{"status": "Pulling"}\n', cut_off=True),
        pull_of(b'{"status": "Pull'),
        pull_of(b'{"status": "Pulling"}\n'),
    ],
)
def test_a_pull_that_does_not_end_with_the_image_fails(script: Script) -> None:
    script["/v1.41/images/i:1/json"] = as_json({"message": "No such image: i:1"}, 404)
    with scripted(script) as (engine, _), pytest.raises(TransientError):
        engine.pull("i:1")


def test_a_broken_off_log_is_an_error_and_not_an_end() -> None:
    log = Answer(body=b"half", cut_off=True)
    with scripted({**ENGINE, "/v1.41/containers/c/logs": log}) as (engine, _):
        pieces = engine.logs("c", lines=5)
        assert next(pieces) == b"half"
        with pytest.raises(EngineUnreachable):
            next(pieces)


def test_the_message_of_a_failure_to_report_stays_the_listeners() -> None:
    def deaf(text: str) -> None:
        raise BrokenPipeError(text)

    with scripted(pull_of(b'{"status": "Pulling"}\n')) as (engine, _), pytest.raises(BrokenPipeError):
        engine.pull("i:1", deaf)


def test_a_tail_that_is_no_natural_number_is_refused_before_the_engine_is_asked() -> None:
    with scripted(ENGINE) as (engine, server):
        with pytest.raises(RequestError):
            engine.logs("c", lines=-1)
        assert server.asked == []


def test_tls_accepts_the_authority_it_was_given_and_no_other(tmp_path: Path) -> None:
    ours, other = str(self_signed(tmp_path)), str(self_signed(tmp_path, "other"))
    with StubServer(ENGINE.get, server_tls(Path(ours))).running() as server:
        url = f"tcp://{server.address}"
        with closing(DockerEngine(url, tls=TlsFiles(ours, ours, ours), timeout=LONG)) as engine:
            engine.ping()
        with pytest.raises(EngineUnreachable, match="its certificate is not signed by the authority in"):
            DockerEngine(url, tls=TlsFiles(other, ours, ours), timeout=LONG).ping()


def test_missing_tls_files_are_the_operators_to_mend(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing.pem")
    engine = DockerEngine("tcp://127.0.0.1:1", tls=TlsFiles(missing, missing, missing))
    with pytest.raises(EngineUnusable, match=r"missing\.pem can't be read: No such file"):
        engine.ping()


def test_every_error_is_one_sentence() -> None:
    refusal = as_json({"message": "first line\nsecond line"}, 500)
    script = {**ENGINE, "/v1.41/_ping": refusal}
    with scripted(script) as (engine, server), pytest.raises(DockmgrError) as caught:
        engine.ping()
    expected = f"The Docker Engine at tcp://{server.address} did not answer a ping: first line second line."
    assert str(caught.value) == expected


def test_an_engine_that_is_going_down_is_not_believed_that_a_container_has_ended() -> None:
    image = image_facts("i")
    ended = replace(created_facts("c" * 64, SPEC, image), state="exited", exit_code=0)
    told = as_json(container_answer(ended, create_arguments(SPEC)["config"], image))
    going_down = threading.Event()

    def answer(path: str) -> Answer | None:
        if path == "/v1.41/containers/c/json":
            if going_down.is_set():
                server.stop_listening()
            return told
        return ENGINE.get(path)

    server = StubServer(answer)
    with server.running(), an_engine(server.address) as engine:
        facts = engine.inspect("c")
        assert facts
        assert facts.state == "exited"
        going_down.set()
        with pytest.raises(EngineUnreachable):
            engine.inspect("c")


def test_nobody_hangs_on_another_thread_that_never_gets_through(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, connecting, over = (
        DockerEngine("tcp://127.0.0.1:9", timeout=SHORT / 3),
        threading.Event(),
        threading.Event(),
    )

    def never() -> object:
        connecting.set()
        over.wait(LONG)
        raise EngineUnreachable("it is over")

    def ping() -> None:
        with pytest.raises(EngineUnreachable):
            engine.ping()

    monkeypatch.setattr(engine, "_negotiate", never)
    first = threading.Thread(target=ping)
    first.start()
    assert connecting.wait(IN_TIME)
    with pytest.raises(EngineUnreachable, match="connecting takes too long"):
        engine.ping()
    monkeypatch.undo()
    with pytest.raises(EngineUnreachable, match="refused"):  # it connects anew
        engine.ping()
    over.set()
    first.join(IN_TIME)


@pytest.mark.parametrize(
    "url",
    [
        "tcp://h7:99999",
        "tcp://[::1",
        "tcp://h7:port",
        "tcp://h7",
        "tcp://u:s3ntinel@h7:1",
        "ssh://u@h7:99999",
    ],
)
@pytest.mark.parametrize("call", [CALLS["ping"], CALLS["list"]])
def test_an_address_that_can_t_be_read_is_its_host_s_own_trouble(
    url: str, call: Callable[[DockerEngine], object]
) -> None:
    with pytest.raises(EngineUnusable, match=r"can't be used: its address must read [^\n]*\.$") as refused:
        call(DockerEngine(url))
    assert "s3ntinel" not in str(refused.value)
