"""Can a plan's timings work at all: pure rules, asked when a plan is configured and when it is validated."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

LONGEST_STOP = 600  # seconds; an operation's steps have an end, and what waits for them does


@dataclass(frozen=True)
class Bounds:
    """What dockmgr itself takes, in seconds, on its default settings.

    A started instance is looked at every `poll`, each look lasting at most `probe_timeout`, until
    `successes` in a row passed. `margin` is added to the start grace before a start has failed. No
    operation may take longer than `longest_change`.
    """

    probe_timeout: float = 5.0
    successes: int = 2
    poll: float = 0.5
    margin: float = 6.0
    longest_change: float = 2995.0


def impossible(start_grace: float, stop_timeout: float, bounds: Bounds) -> Iterator[str]:
    """One sentence for each reason why a plan with these timings (seconds) can't work."""
    if start_grace < bounds.probe_timeout:
        yield (
            f"start_grace ({start_grace:g} s) is shorter than one check may take "
            f"({bounds.probe_timeout:g} s)."
        )
    needed = (bounds.successes - 1) * bounds.poll
    if start_grace < needed:
        yield (
            f"start_grace ({start_grace:g} s) ends before {bounds.successes} checks in a row "
            f"can have passed ({needed:g} s)."
        )
    worst = 2 * (stop_timeout + start_grace + bounds.margin)
    if worst > bounds.longest_change:
        yield (
            f"An update that is rolled back waits for stop_timeout and start_grace twice, {worst:g} s "
            f"in all, and no operation may take longer than {bounds.longest_change:g} s."
        )


def stop_seconds(asked: int) -> int:
    """Seconds a container is really given to stop; to engines a negative number means without end."""
    return asked if 0 <= asked <= LONGEST_STOP else LONGEST_STOP
