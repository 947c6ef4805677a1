"""Reading the logs of customers who write too much, or write to do harm."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.real.commands import ROOT
from tests.real.fleet import Fleet, a_fleet
from tests.real.live import wait_until

MOST_MEMORY = 300 * 1024  # KiB; an idle command takes about a third of it
SECONDS = 60
# A small process between: the memory a process is said to have held is at least its parent's.
MEASURE = (
    "import resource, subprocess, sys; code = subprocess.call(sys.argv[1:]);"
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr); sys.exit(code)"
)
TO_LOG = ">/proc/1/fd/1"
SOME_TEXT = f"/bin/busybox yes some text | /bin/busybox head -n 40000 {TO_LOG}"
ONE_LINE = f"/bin/busybox dd if=/dev/zero bs=1M count=100 2>/dev/null | /bin/busybox tr '\\0' x {TO_LOG}"
MANY_LINES = (
    "/bin/busybox yes 'a line that says nothing at all' | /bin/busybox head -c 60000000; echo the end"
)


@pytest.fixture(scope="module")
def fleet(
    tmp_path_factory: pytest.TempPathFactory, docker_url: str, broker_url: str, demo_image: str
) -> Iterator[Fleet]:
    home = tmp_path_factory.mktemp("home")
    with a_fleet(home, docker_url, broker_url, demo_image) as fleet:
        fleet.provision_all("long", "many", "hostile")
        yield fleet


def command(fleet: Fleet, name: str, *words: str) -> list[str]:
    return [sys.executable, "manage.py", "logs", "--customer-id", fleet.customer(name), *words]


@contextmanager
def reading(fleet: Fleet, name: str, *words: str) -> Iterator[subprocess.Popen[str]]:
    """`logs` writing into pipes while the block runs."""
    with subprocess.Popen(
        command(fleet, name, *words), cwd=ROOT, env=fleet.environ, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


def measured(fleet: Fleet, name: str, *words: str) -> tuple[dict[str, Any], int, float]:
    """The document of `logs`, the most memory it held (KiB) and how long it took (seconds)."""
    out = fleet.home / f"{name}.json"
    began = time.monotonic()
    with out.open("wb") as file:
        words = (sys.executable, "-c", MEASURE, *command(fleet, name, *words, "--json"))
        process = subprocess.run(
            words, cwd=ROOT, env=fleet.environ, stdout=file, stderr=subprocess.PIPE, text=True, check=True
        )
    memory = int(process.stderr.splitlines()[-1])
    return json.loads(out.read_text()), memory, time.monotonic() - began


@pytest.mark.thorough
def test_a_line_of_100_megabytes_is_read_within_bounds(fleet: Fleet) -> None:
    fleet.inside("long", "echo before " + TO_LOG)
    fleet.inside("long", ONE_LINE)
    fleet.inside("long", f"echo {TO_LOG}; echo after {TO_LOG}")
    tail, memory, seconds = measured(fleet, "long", "--lines", "100")
    assert tail["lines"][-1] == "after" and tail["truncated"]
    assert len("".join(tail["lines"])) < 2_000_000
    assert memory < MOST_MEMORY and seconds < SECONDS


@pytest.mark.thorough
def test_a_log_that_nobody_rotates_is_read_from_its_end(fleet: Fleet) -> None:
    ours = fleet.container("many")
    name, image = ours.name, ours.image
    ours.remove(force=True)
    entrypoint = ["/bin/busybox", "sh", "-c", MANY_LINES]
    container = fleet.docker.containers.run(
        image, entrypoint=entrypoint, name=name, labels=ours.labels, detach=True
    )
    assert container.wait(timeout=60)["StatusCode"] == 0
    tail, memory, seconds = measured(fleet, "many", "--lines", "100")
    assert len(tail["lines"]) == 100 and tail["lines"][-1] == "the end"
    assert memory < MOST_MEMORY and seconds < SECONDS
    tail, memory, seconds = measured(fleet, "many", "--lines", "10000")
    assert tail["lines"][-1] == "the end" and memory < MOST_MEMORY and seconds < SECONDS


def test_hostile_bytes_are_readable_text_and_since_leaves_out_what_was_before(fleet: Fleet) -> None:
    fleet.inside("hostile", f"/bin/busybox printf 'early\\n' {TO_LOG}")
    wait_until(lambda: b"early" in fleet.container("hostile").logs())
    [early] = [
        line
        for line in fleet.container("hostile").logs(timestamps=True).decode().splitlines()
        if "early" in line
    ]
    moment = early.split()[0]
    fleet.inside(
        "hostile", f"/bin/busybox printf '\\377\\376 \\033[2Jgone\\033]0;title\\007 \\000<b>\\r\\n' {TO_LOG}"
    )
    tail = fleet.json("logs", "--customer-id", fleet.customer("hostile"), "--since", later(moment))
    [line] = tail["lines"]
    assert "gone" in line and "<b>" in line and "�" in line
    plain = fleet.run("logs", "--customer-id", fleet.customer("hostile"), "--lines", "1")
    assert plain.returncode == 0 and "gone" in plain.stdout


def later(moment: str) -> str:
    """A microsecond after a time of the engine, which knows nanoseconds."""
    whole, _, part = moment.rstrip("Z").partition(".")
    return f"{whole}.{min(int(part[:6]) + 1, 999999):06}+00:00"


def test_following_ends_with_the_container(fleet: Fleet) -> None:
    with reading(fleet, "hostile", "--follow", "--lines", "1") as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        fleet.container("hostile").stop()
        _, errors = process.communicate(timeout=SECONDS)
        assert (process.returncode, errors) == (0, "")


@pytest.mark.parametrize("words", [("--follow",), ("--lines", "10000")])
def test_a_reader_who_goes_away_meets_no_traceback(fleet: Fleet, words: tuple[str, ...]) -> None:
    fleet.inside("long", SOME_TEXT)
    with reading(fleet, "long", *words) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline()
        process.stdout.close()
        fleet.inside("long", SOME_TEXT)
        process.wait(timeout=SECONDS)
        assert process.stderr.read() == ""


def test_an_interrupted_follow_ends_in_one_sentence(fleet: Fleet) -> None:
    with reading(fleet, "long", "--follow") as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=SECONDS)
        assert (process.returncode, errors.count("\n")) == (130, 1)
