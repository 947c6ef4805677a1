"""`make demo` as a process of its own, on an engine and a broker that somebody else owns."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest
from redis import Redis

from dev.narration import Narrator
from tests.real.live import docker_client, processes_naming, wait_until
from tests.settings import GIVEN

pytestmark = pytest.mark.real

TOP = Path(__file__).resolve().parents[2]
PATIENCE = 240  # seconds; the demo gives up after 180
CONTROL_CODES = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def redis_client(url: str) -> Redis:
    return Redis.from_url(url.replace("redis+socket://", "unix://"))


class Demo:
    """A demo on the servers of this run, with a folder for temporary files that must end empty."""

    def __init__(self, docker_url: str, broker_url: str, folder: Path) -> None:
        self.docker_url, self.broker_url = docker_url, broker_url
        self.home, self.temporary = folder / "home", folder / "tmp"
        self.output = folder / "output"
        self.home.mkdir()
        self.temporary.mkdir()

    @contextmanager
    def running(self, **environ: str) -> Iterator[subprocess.Popen[bytes]]:
        with (
            self.output.open("wb") as output,
            subprocess.Popen(
                [sys.executable, "-m", "dev.demo"],
                cwd=TOP,
                env={**self._environ(), **environ},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            ) as process,
        ):
            try:
                yield process
            finally:
                process.terminate()

    def _environ(self) -> Mapping[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "DOCKMGR_HOME": str(self.home / "dockmgr"),
            "TMPDIR": str(self.temporary),
            "DOCKER_HOST": self.docker_url,
            "DOCKMGR_BROKER_URL": self.broker_url,
        }

    def said(self) -> str:
        return self.output.read_text()

    def wait_for(self, text: str) -> None:
        wait_until(lambda: text in self.said(), PATIENCE)

    def there_is(self) -> list[set[str]]:
        """Everything on the engine and the broker, by name."""
        with docker_client(self.docker_url) as docker, redis_client(self.broker_url) as redis:
            return [
                {f"{container.name} {container.id}" for container in docker.containers.list(all=True)},
                {str(volume.name) for volume in docker.volumes.list()},
                {str(image.id) for image in docker.images.list(all=True)},
                {tag for image in docker.images.list() for tag in image.tags},
                {key.decode() for key in redis.keys("*")},
            ]


ON_SHARED_SERVERS = bool({"DOCKER_HOST", "DOCKMGR_BROKER_URL"} & set(GIVEN))


@pytest.fixture
def demo(docker_url: str, broker_url: str, tmp_path: Path) -> Iterator[Demo]:
    """Checks at the end that the demo left nothing behind, and that what was there still is."""
    demo, theirs = Demo(docker_url, broker_url, tmp_path), f"theirs-{tmp_path.name}"
    with redis_client(broker_url) as redis:
        redis.set(theirs, "untouched")
        try:
            before = demo.there_is()
            yield demo
            assert redis.get(theirs) == b"untouched"
            after = demo.there_is()
        finally:
            redis.delete(theirs)
    assert [*demo.temporary.iterdir(), *demo.home.iterdir()] == []
    [name] = set(re.findall(r"demo-[0-9a-f]{4}", demo.said()))
    assert [*processes_naming(str(demo.temporary)), *processes_naming(name)] == []
    assert [thing for kind in after for thing in kind if name in thing] == []
    # Servers named by the environment serve other tests at the same time, who come and go there.
    assert ON_SHARED_SERVERS or after == before


def test_it_heals_the_two_it_broke_and_leaves_nothing(demo: Demo) -> None:
    with demo.running() as process:
        assert process.wait(PATIENCE) == 0, demo.said()
    said = demo.said()
    assert re.search(r" ada +HTTP 200 .*/healthz answers .*\"ok\": true", said)
    assert re.search(r" bob +suspect +The answer has HTTP status 503", said)
    assert re.search(r" cyn +unhealthy +The container has exited", said)
    rows = re.findall(r"^demo-\w{4}-(\w+) +demo +dockmgr-\S+ +(\w+) +(\d+) +(\S+)", said, re.MULTILINE)
    assert [(name, status, int(restarts) > 0) for name, status, restarts, _ in rows] == [
        ("ada", "healthy", False),
        ("bob", "healthy", True),
        ("cyn", "healthy", True),
    ]
    assert [seconds == "-" for *_, seconds in rows] == [True, False, False]
    assert not CONTROL_CODES.search(said)


@pytest.mark.thorough
def test_interrupted_while_it_provisions_it_leaves_nothing(demo: Demo) -> None:
    with demo.running() as process:
        demo.wait_for(" volume ")
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 130
    assert demo.said().rstrip().endswith("Interrupted; what the demo made was removed.")


@pytest.mark.thorough
def test_kept_it_serves_the_admin_until_interrupted(demo: Demo) -> None:
    with demo.running(KEEP="1") as process:
        demo.wait_for("DOCKMGR_HOME=")
        [url] = re.findall(r"http://\S+/admin/", demo.said())
        with urlopen(url, timeout=60) as page:
            assert "dockmgr" in page.read().decode()
        [instance] = re.findall(r"-ada .* (http://127\S+)", demo.said())
        assert urlopen(f"{instance}/healthz", timeout=60).status == 200
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0


def test_a_broker_that_does_not_answer_is_named_in_one_sentence(docker_url: str, tmp_path: Path) -> None:
    demo = Demo(docker_url, f"redis+socket://{tmp_path}/none.sock", tmp_path)
    with demo.running() as process:
        assert process.wait(PATIENCE) == 1
    assert "DOCKMGR_BROKER_URL" in demo.said().splitlines()[-1]
    assert list(demo.temporary.iterdir()) == []


def test_what_is_told_can_not_steer_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    Narrator(began=100.0).line("ada", "suspect", "says \x1b[31m\u202e\nand [red]more[/red]", moment=101.26)
    assert capsys.readouterr().out == (
        "   1.3 s  ada       suspect               says \\x1b[31m\\u202e\\nand [red]more[/red]\n"
    )
