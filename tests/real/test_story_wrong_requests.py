"""What is wrong, or out of reach, is said in one sentence and one exit code."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.real.fleet import Fleet, a_fleet

NO_BROKER = "redis://127.0.0.1:1/0"
HUGE = "9" * 400


@pytest.fixture(scope="module")
def fleet(
    tmp_path_factory: pytest.TempPathFactory, docker_url: str, broker_url: str, demo_image: str
) -> Iterator[Fleet]:
    home = tmp_path_factory.mktemp("home")
    with a_fleet(home, docker_url, broker_url, demo_image) as fleet:
        fleet.provision("one")
        yield fleet


def amiss(results: Sequence[subprocess.CompletedProcess[str]], code: int) -> list[str]:
    """What is wrong with how commands ended that should have said one sentence and given this code."""
    found = []
    for done in results:
        words = " ".join(done.args[2:])[:120]
        if done.returncode != code:
            found.append(f"{words}: code {done.returncode}")
        if done.stderr.count("\n") != 1:
            last = done.stderr.strip().rpartition("\n")[2][:160]
            found.append(f"{words}: {done.stderr.count(chr(10))} lines, the last is {last!r}")
    return found


def wrong(fleet: Fleet) -> list[tuple[str, ...]]:
    nobody, order = fleet.customer("nobody"), fleet.order("new")
    return [
        *((verb, "--customer-id", nobody) for verb in ("restart", "decommission", "pause", "check_health")),
        *((verb, "--customer-id", "../Etc") for verb in ("restart", "operations")),
        ("instances", "--two\nlines"),
        ("restart",),
        ("check_health", "--all", "--customer-id", nobody),
        ("validate", "--subdomain", "-.example.com"),
        (*order[:-1], "nonesuch"),
        (*order, "--host", "nonesuch"),
        (*order[:-1], "free"),
        (*order, "--env", "NOT A NAME=1"),
        (*order, "--env-file", "/nowhere/file", "--image", "busybox"),
        ("restart", "--customer-id", fleet.customer("one"), "--request-id", "x" * 200),
    ]


def test_a_wrong_request_is_refused_before_anything_is_touched(fleet: Fleet) -> None:
    assert amiss(fleet.run_all(*wrong(fleet)), 2) == []
    assert (fleet.containers(), fleet.volumes()) == (["one"], ["one-data"])
    assert fleet.sql("SELECT kind FROM instances_operation") == [("provision",)]


def test_wrong_words_for_the_log_are_refused(fleet: Fleet) -> None:
    tries = (
        ("--lines", "0"),
        ("--lines", "many"),
        ("--since", "2026-01-01"),
        ("--since", "9999999d"),
        ("--follow", "--json"),
    )
    which = ("logs", "--customer-id", fleet.customer("one"))
    assert amiss(fleet.run_all(*((*which, *words) for words in tries)), 2) == []


def test_a_wrong_fleet_file_is_refused(fleet: Fleet, tmp_path: Path) -> None:
    texts = (
        "surprise: 1",
        f"plans: [{{name: pro, memory: {HUGE}t}}]",
        f"plans: [{{name: pro, pids: {HUGE}}}]",
        f"hosts: [{{name: local, max_instances: {HUGE}}}]",
    )
    commands = []
    for number, text in enumerate(texts):
        file = tmp_path / f"{number}.yaml"
        file.write_text(text)
        commands.append(("apply", str(file)))
    assert amiss(fleet.run_all(*commands), 2) == []


def test_without_a_broker_an_order_is_refused_and_not_left_behind(fleet: Fleet) -> None:
    who = ("--customer-id", fleet.customer("one"))
    orders = (
        ("restart", *who, "--enqueue"),
        (*fleet.order("two"), "--enqueue"),
        ("daily_health", "--enqueue"),
        ("check_health", "--all", "--enqueue"),
    )
    results = fleet.run_all(*orders, DOCKMGR_BROKER_URL=NO_BROKER)
    left = fleet.unfinished()
    fleet.change("UPDATE instances_operation SET lease_expires_at = '2000-01-01' WHERE finished_at IS NULL")
    assert (amiss(results, 3), left) == ([], 0)


@pytest.mark.thorough
def test_without_its_database_a_command_says_so(fleet: Fleet, tmp_path: Path) -> None:
    broken = tmp_path / "broken.sqlite3"
    broken.write_bytes(b"no database at all" * 1000)
    for url in (
        f"sqlite:///{tmp_path}/empty.sqlite3",
        f"sqlite:///{broken}",
        "postgres://nobody@127.0.0.1:1/nothing",
    ):
        commands = (("daily_health",), ("restart", "--customer-id", "someone"), ("changepassword", "ada"))
        assert amiss(fleet.run_all(*commands, DATABASE_URL=url), 3) == []
    for url in (f"sqlite:///{tmp_path}", f"sqlite:///{broken}/under", f"sqlite:///{broken}"):
        assert amiss([fleet.run("migrate", DATABASE_URL=url)], 3) == []
