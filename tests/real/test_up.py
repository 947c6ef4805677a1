"""`make up` as a process of its own, in a state folder of its own, with its embedded Redis."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from dev import processes
from dev.processes import Program, Supervisor
from tests.real.live import wait_until

pytestmark = pytest.mark.real

TOP = Path(__file__).resolve().parents[2]
PATIENCE = 180  # seconds


class Up:
    """One `up`. Its output goes to a file; `home` marks every process it starts by its environment."""

    def __init__(self, docker_url: str, folder: Path) -> None:
        self.home, self.output = folder / "home", folder / "output"
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "DOCKMGR_HOME": str(self.home),
            "DOCKMGR_STATE_FILE": str(self.home / "state.json"),
            "DOCKMGR_SWEEP_INTERVAL": "2",
            "DOCKER_HOST": docker_url,
            "PORT": "0",
        }

    @contextmanager
    def running(self, **environ: str) -> Iterator[subprocess.Popen[bytes]]:
        with (
            self.output.open("wb") as output,
            subprocess.Popen(
                [sys.executable, "-m", "dev.up"],
                cwd=TOP,
                env={**self.environ, **environ},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            ) as process,
        ):
            try:
                yield process
            finally:
                process.terminate()

    def said(self) -> str:
        return self.output.read_text()

    def wait_for(self, pattern: str) -> str:
        """The first group of the pattern, once it is said."""
        wait_until(lambda: re.search(pattern, self.said()) is not None, PATIENCE)
        return str(re.findall(pattern, self.said())[0])

    def port(self) -> int:
        return int(self.wait_for(r"serves http://127.0.0.1:(\d+)/admin/"))

    def processes(self) -> set[int]:
        """Living processes that were started with this home."""
        mark = f"DOCKMGR_HOME={self.home}\0".encode()
        return {int(entry.name) for entry in Path("/proc").glob("[0-9]*") if mark in environment(entry)}

    def finished_sweeps(self) -> int:
        with closing(sqlite3.connect(self.home / "dockmgr.sqlite3")) as database:
            query = "SELECT count(*) FROM instances_sweep WHERE state = 'finished'"
            return int(database.execute(query).fetchone()[0])


def environment(process: Path) -> bytes:
    try:
        return (process / "environ").read_bytes()
    except OSError:  # it ended while we looked, or is not ours
        return b""


def answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == http.client.OK
    except OSError:
        return False
    finally:
        connection.close()


@pytest.fixture
def up(docker_url: str, tmp_path_factory: pytest.TempPathFactory) -> Up:
    return Up(docker_url, tmp_path_factory.mktemp("up"))


def test_it_serves_and_sweeps_until_it_is_ended_and_starts_again_as_it_was(up: Up, tmp_path: Path) -> None:
    with up.running() as process:
        port = up.port()
        wait_until(lambda: answers(port), PATIENCE)
        refuses_a_second_one(up, tmp_path)
        wait_until(lambda: up.finished_sweeps() > 0, PATIENCE)
        replaces_a_child(up, port)
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0, up.said()
    assert up.said().endswith("dockmgr has stopped.\n")
    assert up.processes() == set()
    assert not answers(port)
    assert not (up.home / "redis.sock").exists()
    assert "with the password" in up.said()
    finds_another_port_and_takes_its_children_along(up)


def refuses_a_second_one(up: Up, folder: Path) -> None:
    """In the same home."""
    second = Up(up.environ["DOCKER_HOST"], folder)
    with second.running(DOCKMGR_HOME=str(up.home)) as process:
        assert process.wait(PATIENCE) == 1
    assert second.said() == f"Another one is up in the state folder {up.home}.\n"


def replaces_a_child(up: Up, port: int) -> None:
    web = int(up.wait_for(r"web +\| .*Listening at: .*\((\d+)\)"))
    os.kill(web, signal.SIGKILL)
    up.wait_for(r"web +\| ended with exit code -9; it starts again in 1 s()")
    wait_until(lambda: up.said().count("Listening at") == 2 and answers(port), PATIENCE)


def finds_another_port_and_takes_its_children_along(up: Up) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        with up.running(PORT=str(number)) as process:
            assert up.port() != number
            wait_until(lambda: answers(up.port()), PATIENCE)
            assert len(up.processes()) > 5
            process.kill()
    wait_until(lambda: up.processes() == set(), PATIENCE)
    assert f"Port {number} can't be had" in up.said()
    assert "with the password" not in up.said()


def test_a_bad_port_is_refused_by_name(up: Up) -> None:
    with up.running(PORT="http") as process:
        assert process.wait(PATIENCE) == 2
    assert up.said().startswith("PORT has ")


@pytest.fixture
def supervisor() -> Iterator[Supervisor]:
    supervisor = Supervisor()
    yield supervisor
    supervisor.stop()


def python(name: str, code: str, folder: Path) -> Program:
    return Program(name, [sys.executable, "-c", code], {}, folder)


def test_a_child_that_keeps_ending_is_started_again_after_growing_waits(
    supervisor: Supervisor, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    supervisor.run(python("brief", "print('here'); raise SystemExit(3)", tmp_path))
    said = ""

    def twice() -> bool:
        nonlocal said
        said += capfd.readouterr().out
        return said.count("ended") >= 2

    wait_until(twice, PATIENCE)
    again = "brief      | ended with exit code 3; it starts again in {} s"
    assert said.splitlines()[:4] == [
        "brief      | here", again.format(1), "brief      | here", again.format(2),
    ]  # fmt: skip


@pytest.mark.parametrize("parent_heeds", [False, True])
def test_what_does_not_heed_the_request_to_end_is_killed(
    supervisor: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parent_heeds: bool
) -> None:
    monkeypatch.setattr(processes, "STOP_TIMEOUT", 0.5)
    code = (
        "import os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); child = os.fork();"
        f"child and {parent_heeds} and signal.signal(signal.SIGTERM, signal.SIG_DFL);"
        f"open({str(tmp_path)!r} + f'/{{os.getpid()}}', 'w').close(); time.sleep(600)"
    )
    supervisor.run(python("stubborn", code, tmp_path))
    wait_until(lambda: len(list(tmp_path.iterdir())) == 2, PATIENCE)
    supervisor.stop()
    wait_until(lambda: not any(is_alive(entry.name) for entry in tmp_path.iterdir()))


def is_alive(pid: str) -> bool:
    """A process without arguments has ended and only waits to be asked how."""
    try:
        return bool(Path("/proc", pid, "cmdline").read_bytes())
    except OSError:
        return False
