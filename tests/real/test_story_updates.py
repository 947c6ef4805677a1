"""Updates on real containers from a real registry: on the new image, or the very container from before."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from http.client import HTTPException
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.real.fleet import Fleet, a_fleet
from tests.real.images import DIES_LATER, SICKENS_LATER, Shelf
from tests.real.live import get

pytestmark = pytest.mark.real

GATE = "wait until healthy"
KEPT = "echo precious >/data/kept"
# A server that costs next to nothing: what is asked 200 times a second must not be the bottleneck.
LIGHT = (
    """ENTRYPOINT ["/bin/sh", "-c", "mkdir -p /www; echo '{\\"ok\\": true}' >/www/healthz; """
    """exec /bin/busybox httpd -f -p 8080 -h /www"]""",
)


@pytest.fixture(scope="module")
def good(shelf: Shelf) -> str:
    return shelf.push("good", DEMO_VERSION="2.0.0")


@pytest.fixture
def make_fleet(home: Path, docker_url: str, broker_url: str, shelf: Shelf) -> Iterator[Callable[..., Fleet]]:
    """A fleet on `latest`, which is pushed for it."""
    with ExitStack() as stack:

        def make(**plan: Any) -> Fleet:
            latest = shelf.push("latest", DEMO_VERSION="1.0.0")
            return stack.enter_context(a_fleet(home, docker_url, broker_url, latest, **plan))

        yield make


def update(fleet: Fleet, name: str, image: str | None = None) -> tuple[int, dict[str, Any]]:
    """Exit code and OPERATION of an update."""
    named = ("--image", image) if image else ()
    done = fleet.run("update", "--customer-id", fleet.customer(name), *named, "--json")
    return done.returncode, json.loads(done.stdout)


def update_each(fleet: Fleet, images: dict[str, str]) -> dict[str, tuple[int, dict[str, Any]]]:
    """Update each customer to the image of its name, all at once."""
    with ThreadPoolExecutor(len(images)) as pool:
        results = pool.map(lambda name: update(fleet, name, images[name]), images)
        return dict(zip(images, results, strict=True))


def containers(fleet: Fleet) -> dict[str, tuple[str, str, int]]:
    """Of each container by short name: its id, its image's id, how often programs started on its data."""
    found = {name: fleet.container(name) for name in fleet.containers()}
    return {name: (c.id, str(c.attrs["Image"]), fleet.boots(name)) for name, c in found.items()}


def failed_step(operation: dict[str, Any]) -> str:
    """The step that failed first."""
    return next((str(s["name"]) for s in operation["steps"] if s["status"] == "failed"), "")


EXPECTED = {
    "good": (0, "succeeded", ""),
    "slow": (0, "succeeded", ""),
    "unhealthy": (1, "rolled_back", GATE),
    "crashing": (1, "rolled_back", GATE),
    "wedged": (1, "rolled_back", GATE),
    "dying": (1, "rolled_back", "watch"),
    "sickening": (1, "rolled_back", "watch"),
    "uncovered": (1, "failed", "verify image"),
    "foreign": (1, "failed", "verify image"),
    "absent": (1, "failed", "pull"),
}  # exit code, status, the step that failed


def test_each_kind_of_image_ends_as_it_should(
    make_fleet: Callable[..., Fleet], shelf: Shelf, good: str
) -> None:
    images = {
        "good": good,
        "slow": shelf.push("slow", BOOT_SECONDS="6"),
        "unhealthy": shelf.push("unhealthy", MODE="503"),
        "crashing": shelf.push("crashing", MODE="exit"),
        "wedged": shelf.push("wedged", MODE="hang"),
        "dying": shelf.push_with("dying", DIES_LATER),
        "sickening": shelf.push_with("sickening", SICKENS_LATER),
        "uncovered": shelf.push_changed("uncovered", "VOLUME /var/lib/db"),
        "foreign": shelf.push_for("foreign", "arm64"),
        "absent": shelf.ref("absent"),
    }
    fleet = make_fleet(start_grace=8)
    fleet.provision_all(*images)
    for name in images:
        fleet.inside(name, KEPT)
    before = containers(fleet)
    done = update_each(fleet, images)
    assert {name: (code, row["status"], failed_step(row)) for name, (code, row) in done.items()} == EXPECTED
    after = containers(fleet)
    assert sorted(after) == sorted(before)
    for name, (_, row) in done.items():
        ended_as_told(fleet, name, row, before[name], after[name])
    assert fleet.json("check_health", "--all")["healthy"] == len(images)
    assert fleet.volumes() == sorted(f"{name}-data" for name in images)
    assert fleet.sql("SELECT count(*) FROM instances_port") == [(len(images),)]


def ended_as_told(
    fleet: Fleet,
    name: str,
    row: dict[str, Any],
    before: tuple[str, str, int],
    after: tuple[str, str, int],
) -> None:
    assert fleet.read(name, "/data/kept") == "precious\n"
    assert row["image_before"] == before[1]
    assert row["image_after"] == after[1]
    assert (after[:2] == before[:2]) is (row["status"] != "succeeded")
    if row["status"] == "failed":
        assert after == before


@pytest.mark.thorough
def test_a_tag_that_moved_to_a_broken_image_is_rolled_back_by_id(
    make_fleet: Callable[..., Fleet], shelf: Shelf
) -> None:
    fleet = make_fleet(start_grace=2)
    fleet.provision("one")
    before = containers(fleet)["one"]
    shelf.push("latest", MODE="503")
    code, row = update(fleet, "one")
    assert (code, row["status"], row["image_after"]) == (1, "rolled_back", before[1])
    kept = containers(fleet)["one"]
    assert kept[:2] == before[:2]
    code, row = update(fleet, "one")
    assert (code, row["status"], "failed for" in row["error"]) == (1, "failed", True)
    assert containers(fleet)["one"] == kept
    shelf.push("latest", DEMO_VERSION="3.0.0")
    code, row = update(fleet, "one")
    assert (code, row["status"], row["changed"], row["image_before"]) == (0, "succeeded", True, before[1])
    newer = containers(fleet)["one"]
    assert row["image_after"] == newer[1] != before[1]
    code, row = update(fleet, "one")
    assert (code, row["status"], row["changed"]) == (0, "succeeded", False)
    assert containers(fleet)["one"] == newer
    assert fleet.instances()["one"]["version"] == "3.0.0"


def test_a_port_more_that_something_else_on_the_host_holds_is_moved(
    make_fleet: Callable[..., Fleet], good: str
) -> None:
    fleet = make_fleet()
    fleet.provision("one")
    [(held,)] = fleet.sql("SELECT number FROM instances_port")
    plan = json.dumps({"plans": [{"name": "pro", "ports": [9090]}]})
    assert fleet.run("apply", "-", stdin=plan).returncode == 0
    with socket.create_server(("127.0.0.1", held + 1)):
        code, row = update(fleet, "one", good)
    assert (code, row["status"], failed_step(row)) == (0, "succeeded", "")
    assert fleet.sql("SELECT number FROM instances_port ORDER BY number") == [(held,), (held + 2,)]
    published = fleet.container("one").attrs["HostConfig"]["PortBindings"]
    assert published["9090/tcp"] == [{"HostIp": "127.0.0.1", "HostPort": str(held + 2)}]


@contextmanager
def requests_to(
    port: Callable[[], int], pause: float, callers: int = 1, patience: float = 5
) -> Iterator[list[tuple[float, str]]]:
    """While the block runs, callers ask `port()` every `pause` seconds each: moments and troubles."""
    answers: list[tuple[float, str]] = []
    stop = threading.Event()

    def ask() -> None:
        due = time.monotonic()
        while not stop.wait(max(0.0, due - time.monotonic())):
            due = max(due + pause, time.monotonic() - 1)
            answers.append(_request(port(), patience))

    threads = [threading.Thread(target=ask) for _ in range(callers)]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    answers.sort()


def _request(port: int, patience: float) -> tuple[float, str]:
    try:
        status, _ = get(port, timeout=patience)
    except (OSError, HTTPException, ValueError) as error:  # also an answer that was cut off in its middle
        return time.monotonic(), f"{port}: {error!r} at {datetime.now(UTC)}"
    return time.monotonic(), "" if status == 200 else f"{port}: {status}"


def recorded_port(fleet: Fleet) -> int:
    return int(fleet.sql("SELECT port FROM instances_instance WHERE decommissioned_at IS NULL")[0][0])


def longest_silence(answers: list[tuple[float, str]]) -> float:
    """The longest time in seconds between two answers."""
    good = [moment for moment, trouble in answers if not trouble]
    return max(later - earlier for earlier, later in pairwise(good))


def test_a_customer_who_keeps_data_is_away_for_about_a_second(
    make_fleet: Callable[..., Fleet], good: str
) -> None:
    fleet = make_fleet(start_grace=10)
    # The kernel takes a second to wake an empty bridge, and whoever connects too early hangs that long.
    fleet.provision_all("one", "neighbour")
    port = fleet.instances()["one"]["port"]
    with requests_to(lambda: port, 0.02, callers=5, patience=0.2) as answers:
        assert update(fleet, "one", good)[0] == 0
    silence = longest_silence(answers)
    print(f"away for {silence:.2f} s")
    assert len(answers) > 50
    assert 0.05 < silence < 10  # about one where nothing else runs


def test_a_customer_who_keeps_no_data_is_never_away(make_fleet: Callable[..., Fleet], shelf: Shelf) -> None:
    fleet = make_fleet(start_grace=2, data_path=None, update_strategy="start_first", cpus=2)
    first, second = (shelf.push_changed(tag, *LIGHT, f"LABEL of={tag}") for tag in ("light-1", "light-2"))
    fleet.json(*fleet.order("one"), "--image", first)
    before = recorded_port(fleet)
    with requests_to(lambda: recorded_port(fleet), 0.02, callers=5) as answers:
        code, row = update(fleet, "one", second)
    assert (code, row["status"]) == (0, "succeeded")
    rate = len(answers) / (answers[-1][0] - answers[0][0])
    print(f"{len(answers)} requests, {rate:.0f} a second")
    assert rate > 10  # 200 on a machine with nothing else to do
    assert [trouble for _, trouble in answers if trouble] == []
    assert recorded_port(fleet) != before
    assert fleet.containers() == ["one"]
    assert fleet.sql("SELECT count(*) FROM instances_port") == [(1,)]


def test_a_broken_image_never_touches_a_customer_updated_start_first(
    make_fleet: Callable[..., Fleet], shelf: Shelf
) -> None:
    fleet = make_fleet(start_grace=2, data_path=None, update_strategy="start_first")
    fleet.provision("one")
    before = fleet.container("one").attrs
    code, row = update(fleet, "one", shelf.push("broken", MODE="503"))
    after = fleet.container("one").attrs
    assert (code, row["status"]) == (1, "rolled_back")
    assert (after["Id"], after["State"]["StartedAt"]) == (before["Id"], before["State"]["StartedAt"])
    assert (fleet.containers(), fleet.unfinished()) == (["one"], 0)


@pytest.mark.thorough
def test_a_fleet_update_stops_at_its_canary_and_goes_on_with_a_better_image(
    make_fleet: Callable[..., Fleet], shelf: Shelf
) -> None:
    fleet = make_fleet(start_grace=2)
    fleet.provision_all("a", "b", "c")
    before = containers(fleet)
    shelf.push("latest", MODE="503")
    stopped = fleet.json("update", "--all", code=1)
    assert (stopped["stopped"], len(stopped["left"])) == ("The canary failed.", 2)
    assert {name: row[:2] for name, row in containers(fleet).items()} == {n: r[:2] for n, r in before.items()}
    shelf.push("latest", DEMO_VERSION="4.0.0")
    done = fleet.json("update", "--all", "--test-first", "pro")
    assert [row["status"] for row in done["operations"]] == ["succeeded"] * 3
    assert {row["version"] for row in fleet.instances().values()} == {"4.0.0"}
    assert fleet.containers() == ["a", "b", "c"]
