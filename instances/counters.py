"""What is counted as it happens, in the transaction it happens in: the source of the metrics' counters.

Counting rows instead would cost more the longer the history, and go down when old history is deleted.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.db import connection

from instances.models import Operation, Tally

SEPARATOR = ":"
UNBOUNDED = "inf"
MILLISECONDS = "ms"


@dataclass(frozen=True)
class Measure:
    """Durations that are counted by labels and by upper bound (seconds)."""

    name: str
    bounds: tuple[float, ...]

    def counts(self, durations: Iterable[tuple[tuple[str, ...], float]]) -> dict[str, int]:
        """What durations (labels, seconds) add: one to a bucket each, and their milliseconds."""
        buckets, seconds = self.buckets, defaultdict[tuple[str, ...], float](float)
        places: Counter[tuple[tuple[str, ...], int]] = Counter()
        for labels, took in durations:
            places[labels, bisect_left(self.bounds, took)] += 1
            seconds[labels] += max(0.0, took)
        counts = {
            key(self.name, *labels, buckets[place]): number for (labels, place), number in places.items()
        }
        sums = {key(self.name, *labels, MILLISECONDS): round(took * 1000) for labels, took in seconds.items()}
        return counts | sums

    @property
    def buckets(self) -> list[str]:
        """The last part of the keys that count, in order."""
        return [*(f"{bound:g}" for bound in self.bounds), UNBOUNDED]

    def total(self, numbers: Mapping[str, int]) -> int:
        """How many durations were counted, whatever they were; `numbers` by the last part of the key."""
        return sum(number for bucket, number in numbers.items() if bucket != MILLISECONDS)


# Labels: outcome of the probe.
CHECKS = Measure("check", (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10))
# Labels: kind of operation, how it ended, and who wanted it ("automatic" or "requested").
OPERATIONS = Measure("operation", (1, 2.5, 5, 10, 20, 40, 60, 120, 300, 600))
# Labels: what became of a message to a channel, and its level.
NOTIFICATIONS = "notification"


def key(*parts: str) -> str:
    return SEPARATOR.join(parts)


def add(counts: Mapping[str, int]) -> None:
    """Add to counters, in one statement. Call it last in the transaction: these rows are shared by all."""
    if not counts:
        return
    rows = sorted(counts.items())  # one order for everybody, so that nobody deadlocks
    sql = (
        f'INSERT INTO instances_tally ("key", "value") VALUES {", ".join(["(%s, %s)"] * len(rows))} '  # noqa: S608
        'ON CONFLICT ("key") DO UPDATE SET "value" = instances_tally."value" + excluded."value"'
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, [value for row in rows for value in row])


def count_ended(operation: Operation) -> None:
    """Count an operation that has just been closed. Call it last in the transaction."""
    if operation.finished_at is not None:
        took = operation.finished_at - (operation.started_at or operation.created_at)
        wish = "automatic" if operation.automatic else "requested"
        labels = (operation.kind, operation.status, wish)
        add(OPERATIONS.counts([(labels, max(0.0, took.total_seconds()))]))


def count_deliveries(outcome: str, levels: Iterable[str]) -> None:
    """Count messages to channels that were "sent" or "given_up". Call it last in the transaction."""
    add(Counter(key(NOTIFICATIONS, outcome, level) for level in levels))


def read() -> dict[str, dict[tuple[str, ...], int]]:
    """All counters: by name, then by the rest of the key."""
    found: dict[str, dict[tuple[str, ...], int]] = defaultdict(dict)
    for text, value in Tally.objects.values_list("key", "value"):
        name, *labels = text.split(SEPARATOR)
        found[name][tuple(labels)] = value
    return found
