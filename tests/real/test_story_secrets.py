"""A customer's secret is seen in no place but the customer's own container."""

from __future__ import annotations

import base64
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.real.fleet import Fleet, a_fleet, all_healthy
from tests.real.live import processes_naming, wait_until

SENTINEL = "Xq7sentinel-Zu2-value"
BASE64 = re.compile(rb"[A-Za-z0-9+/]{24,}={0,2}")
ECHO = "echo told $NOTE >/proc/1/fd/1"


@pytest.fixture
def fleet(home: Path, docker_url: str, broker_url: str, demo_image: str) -> Iterator[Fleet]:
    environ = {"DOCKMGR_LOG_LEVEL": "DEBUG"}
    with a_fleet(home, docker_url, broker_url, demo_image, environ=environ, start_grace=3) as fleet:
        yield fleet


def holds(data: bytes) -> bool:
    """Whether the secret is in there, as it is or wrapped up as Celery wraps bodies."""
    parts = [part.rstrip(b"=") for part in BASE64.findall(data)]
    unwrapped = [base64.b64decode(part[: len(part) // 4 * 4]) for part in parts]
    return any(SENTINEL.encode() in piece for piece in (data, *unwrapped))


def redis_content(fleet: Fleet) -> Iterator[bytes]:
    """Every key and value of this fleet."""
    readers: dict[bytes, Callable[[Any, Any], Iterable[Any]]] = {
        b"string": lambda c, key: [c.get(key)],
        b"list": lambda c, key: c.lrange(key, 0, -1),
        b"set": lambda c, key: c.smembers(key),
        b"zset": lambda c, key: c.zrange(key, 0, -1),
        b"hash": lambda c, key: [part for pair in c.hgetall(key).items() for part in pair],
    }
    connection: Any
    with closing(fleet.redis()) as connection:
        for key in connection.scan_iter(match=f"{fleet.prefix}:*"):
            yield key
            yield from (value or b"" for value in readers[connection.type(key)](connection, key))


def files_holding_it(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file() and holds(path.read_bytes())]


@contextmanager
def watching_processes() -> Iterator[list[str]]:
    """Command lines that named the secret while the block ran."""
    seen: list[str] = []
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.05):
            seen.extend(processes_naming(SENTINEL))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def words_with_file(fleet: Fleet, name: str, variable: str, folder: Path) -> tuple[str, ...]:
    file = folder / f"{name}.env"
    file.write_text(f"# for {name}\n{variable}={SENTINEL}\n")
    return (*fleet.order(name), "--env-file", str(file))


def order(fleet: Fleet, name: str, **env: str) -> dict[str, Any]:
    customer = fleet.customer(name)
    return {"customer_id": customer, "subdomain": f"{customer}.example.com", "plan": "pro", "env": env}


def by_task(fleet: Fleet) -> bytes:
    """The results of an order that succeeds and of one that fails; a misspelt one has none."""
    with fleet.stranger() as app:
        app.send_task("dockmgr.provisoin", kwargs=order(fleet, "misspelt", NOTE=SENTINEL))
        good = app.send_task("dockmgr.provision", kwargs=order(fleet, "task", NOTE=SENTINEL))
        bad = app.send_task("dockmgr.provision", kwargs=order(fleet, "doomed", MODE=SENTINEL))
        results = good.get(timeout=90), bad.get(timeout=90)
    assert [result["success"] for result in results] == [True, False]
    return repr(results).encode()


def test_a_secret_stays_out_of_everything(fleet: Fleet, tmp_path: Path) -> None:
    outputs: list[bytes] = []
    log = fleet.home / "processes.log"

    def run(*words: str) -> None:
        done = fleet.run(*words)
        outputs.append(f"{words[0]}: {done.stdout}{done.stderr}".encode())

    with watching_processes() as seen:
        run(*words_with_file(fleet, "file", "NOTE", tmp_path), "--json")
        run(*words_with_file(fleet, "queued", "NOTE", tmp_path), "--enqueue", "--json")
        assert not any(map(holds, redis_content(fleet)))
        with fleet.worker(log=log), fleet.beat(log=log):
            outputs.append(by_task(fleet))
            wait_until(lambda: b"dockmgr.provisoin" in log.read_bytes())
            all_healthy(fleet)
            fleet.inside("file", ECHO)
            fleet.container("file").kill()
            wait_until(lambda: fleet.health("restarts_used")["file"] == 1)
            all_healthy(fleet)
            fleet.inside("file", ECHO)
        run("logs", "--customer-id", fleet.customer("file"), "--json")
        run("incidents", "--events", "--json")
        for words in (("instances",), ("operations",), ("validate", "--customer-id", fleet.customer("file"))):
            run(*words, "--json")
            run(*words)
        run("daily_health", "--json")
    assert b"told [redacted]" in b"".join(outputs)
    [kept] = [output for output in outputs if output.startswith(b"incidents")]
    assert b"told [redacted]" in kept, "the last words of the killed one"
    assert [output for output in outputs if holds(output)] == []
    assert [line[:80] for line in log.read_bytes().splitlines() if holds(line)] == []
    assert [piece[:80] for piece in redis_content(fleet) if holds(piece)] == []
    assert files_holding_it(fleet.home) == []
    assert seen == []
