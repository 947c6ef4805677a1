"""Is a host fit for customers: pure rules over what its engine says of itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from instances.containers.drift import Finding, Note
from instances.containers.facts import EngineFacts

OLDEST = (20, 10)
LEAST_FREE_BYTES = 512 * 1024**2
MOST_SECONDS_APART = 5.0
_COPIES_ALL = "vfs"


@dataclass(frozen=True)
class EngineOwners:
    """The id of the host's engine, empty before it was met, and the other `hosts` whose engine answered."""

    engine_id: str
    hosts: tuple[str, ...] = ()


def findings(
    facts: EngineFacts, known: EngineOwners, free: int | None, asked_at: datetime, seconds: float
) -> Iterator[Finding]:
    """`free` are bytes where the engine keeps its data, None where that can't be seen; it was asked at
    `asked_at` and took so many `seconds` to answer.
    """
    yield _identity(facts.id, known)
    yield _version(facts)
    copies = facts.driver == _COPIES_ALL
    text = "copies the whole image for each container" if copies else "keeps layers"
    yield Finding("storage_driver", not copies, f"{facts.driver or 'unknown'}: {text}")
    confined = any("seccomp" in option for option in facts.security)
    text = "system calls are filtered" if confined else "has no seccomp: containers may make any system call"
    yield Finding("isolation", confined, text)
    yield _disk(free)
    yield _clock(facts.time, asked_at, seconds)
    lacking = ", ".join(facts.lacking)
    yield Finding(
        "limits", not lacking, f"can't limit {lacking}" if lacking else "cpus, memory and pids hold"
    )


def _identity(engine_id: str, known: EngineOwners) -> Finding:
    if engine_id and known.hosts:
        whose = f"the engine of host {', '.join(known.hosts)} answers"
        return Finding("identity", False, f"{whose}: an engine belongs to one host")
    if engine_id == "" or known.engine_id == engine_id:
        return Finding("identity", True, "the known engine")
    if known.engine_id == "":
        return Finding("identity", True, "an engine that no host has had yet")
    return Finding("identity", False, "another engine answers at its address")


def notes(free: int | None) -> Iterator[Note]:
    if free is None:
        yield Note("disk", "The host's disk can't be seen from here.")


def _version(facts: EngineFacts) -> Finding:
    version = facts.version
    if facts.is_podman:
        return Finding("version", True, f"Podman {version}".strip())
    parts = version.split(".")
    numbers = tuple(int(part) for part in parts[:2] if part.isdecimal())
    new_enough = len(numbers) < 2 or numbers >= OLDEST  # one that is not told may be new
    return Finding(
        "version", new_enough, version or "not told" if new_enough else f"{version} is older than 20.10"
    )


def _disk(free: int | None) -> Finding:
    if free is None:
        return Finding("disk", True, "not seen from here")
    return Finding("disk", free >= LEAST_FREE_BYTES, f"{free / 1024**3:,.1f} GiB are free")


def _clock(time: datetime | None, asked_at: datetime, seconds: float) -> Finding:
    if time is None:
        return Finding("clock", True, "not told")
    late = (asked_at - time).total_seconds()
    apart = max(late, -late - seconds, 0.0)  # anywhere between question and answer is right
    return Finding("clock", apart <= MOST_SECONDS_APART, f"within {apart:.1f} s of this one")
