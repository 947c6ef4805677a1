"""Which host a new instance goes to, why another one was not chosen, and which port it gets. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import chain

GB = 1024**3
SILENT = "its engine does not answer"


@dataclass(frozen=True)
class Room:
    """How full a host is. `promised` bytes of memory are what the plans of its instances allow them together.

    It may promise `max_memory` times `overcommit`; a limit of None is none. `silent` is an engine that does
    not answer.
    """

    name: str
    instances: int = 0
    promised: int = 0
    max_instances: int | None = None
    max_memory: int | None = None
    overcommit: float = 1.0
    cordoned: bool = False
    silent: bool = False

    @property
    def may_promise(self) -> int | None:
        return None if self.max_memory is None else int(self.max_memory * self.overcommit)


def why_not(room: Room, memory: int) -> str:
    """Why a host can't have an instance of this much memory, as words that follow its name; else empty."""
    most, limit = room.max_instances, room.may_promise
    if room.cordoned:
        return "is cordoned"
    if most is not None and room.instances >= most:
        return f"holds its {most} instances"
    if limit is not None and room.promised + memory > limit:
        over = f" times {room.overcommit:g}" if room.overcommit != 1 else ""
        whole = room.max_memory or 0
        return (
            f"has promised {_gb(room.promised)} of its {_gb(whole)}{over} of memory, "
            f"and {_gb(memory)} more are too many"
        )
    return ""


def in_order(rooms: Iterable[Room], memory: int) -> list[Room]:
    """The hosts that can have it, the best one first.

    Where all of them say how much memory they may promise, the best has promised the smallest share of it
    afterwards. Else it is the one with the fewest instances, and then the least promised memory.
    """
    fitting = [room for room in rooms if not why_not(room, memory)]
    limited = all(room.may_promise is not None for room in fitting)

    def rank(room: Room) -> tuple[float, int, int, str]:
        share = (room.promised + memory) / (room.may_promise or 1) if limited else 0.0
        return (round(share, 6), room.instances, room.promised, room.name)

    return sorted(fitting, key=rank)


def reasons(rooms: Iterable[Room], memory: int) -> str:
    """For each host one clause that says why it is not to be had; empty where there is no host."""
    told = ((room.name, why_not(room, memory) or (SILENT if room.silent else "")) for room in rooms)
    return "; ".join(f"{name}: {why}" if why == SILENT else f"{name} {why}" for name, why in told if why)


def _gb(size: int) -> str:
    return f"{size / GB:.4g} GB"


def ports_in_order(
    first: int, last: int, taken: Collection[int], freed: Mapping[int, datetime], after: int = 0
) -> Iterator[int]:
    """Free ports: those nobody had first, then those that were given back, the longest ago first.

    Of the former those above `after` come first, and then those below it. It is itself never among them.
    What still asks at the port of somebody who left must not soon find somebody else there.
    """
    above, below = range(max(first, after + 1), last + 1), range(first, min(after, last + 1))
    yield from (port for port in chain(above, below) if port not in taken and port not in freed)
    given_back = (port for port in freed if (port in above or port in below) and port not in taken)
    yield from sorted(given_back, key=lambda port: (freed[port], port))
