"""What makes a host unfit for customers."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from instances.containers.facts import EngineFacts
from instances.containers.host_fit import EngineOwners, findings, notes

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
FACTS = EngineFacts(
    "amd64", 4, 8 << 30, "/var/lib/docker", id="E1", version="20.10.24", driver="overlay2",
    security=("name=apparmor", "name=seccomp,profile=default"), time=NOW,
)  # fmt: skip


def bad(
    known: str = "E1",
    others: tuple[str, ...] = (),
    free: int | None = 10 << 30,
    seconds: float = 0,
    **facts: Any,
) -> dict[str, str]:
    found = findings(replace(FACTS, **facts), EngineOwners(known, others), free, NOW, seconds)
    return {finding.name: finding.message for finding in found if not finding.ok}


def test_a_good_host_has_nothing_against_it() -> None:
    names = [finding.name for finding in findings(FACTS, EngineOwners("E1"), 10 << 30, NOW, 0)]
    assert names == ["identity", "version", "storage_driver", "isolation", "disk", "clock", "limits"]
    assert bad() == bad(known="") == bad(free=None) == bad(time=None) == bad(version="dev") == {}
    assert bad(version="5.8.6", is_podman=True, id="") == {}


@pytest.mark.parametrize(
    ("changes", "name", "words"),
    [
        ({"known": "E2"}, "identity", "another engine"),
        ({"known": "", "others": ("h1", "h2")}, "identity", "the engine of host h1, h2 answers"),
        ({"others": ("h1",)}, "identity", "an engine belongs to one host"),
        ({"version": "19.03.1"}, "version", "older than 20.10"),
        ({"driver": "vfs"}, "storage_driver", "copies the whole image"),
        ({"security": ("name=apparmor",)}, "isolation", "no seccomp"),
        ({"free": 1 << 20}, "disk", "0.0 GiB are free"),
        ({"time": NOW - timedelta(seconds=9)}, "clock", "within 9.0 s"),
        ({"time": NOW + timedelta(seconds=9), "seconds": 1.0}, "clock", "within 8.0 s"),
        ({"lacking": ("memory", "pids")}, "limits", "can't limit memory, pids"),
    ],
)
def test_what_is_wrong_is_named(changes: dict[str, Any], name: str, words: str) -> None:
    [(found, message)] = bad(**changes).items()
    assert found == name
    assert words in message


def test_an_engine_that_took_its_time_to_answer_is_not_late() -> None:
    assert bad(time=NOW + timedelta(seconds=9), seconds=9.0) == {}


def test_what_can_not_be_seen_is_said() -> None:
    assert [note.code for note in notes(None)] == ["disk"]
    assert list(notes(1)) == []
