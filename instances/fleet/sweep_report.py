"""What a sweep in the calling process says when it has ended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from instances import documents
from instances.checks.record import Recorded
from instances.checks.roster import pages
from instances.documents import shapes
from instances.models import Health, Operation, Sweep


@dataclass(frozen=True)
class SweepReport:
    """What a sweep found and did, read back from the database after it settled.

    `last` is the last check of each instance, by its key.
    """

    sweep: Sweep
    rows: list[Health]
    last: Mapping[int, Recorded]
    restarts: list[Operation]
    seconds: float

    def document(self) -> dict[str, Any]:
        restarted = sorted({op.customer_id for op in self.restarts if _was_carried_out(op)})
        return {
            "sweep_id": str(self.sweep.pk),
            **documents.checks(self._check(row) for row in self.rows),
            "restarted": restarted,
            "restarts": [
                {"customer_id": op.customer_id, "operation_id": str(op.pk), "status": op.status}
                for op in self.restarts
            ],
            "seconds": round(self.seconds, 3),
        }

    def _check(self, row: Health) -> shapes.Check:
        """CHECK as the row stands, unless the last check did not count and nothing was seen since."""
        made = self.last.get(row.pk)
        if made is None:
            return documents.check(row)
        seen_since = row.checked_at is not None and row.checked_at >= made.seen.finished_at
        return documents.fresh_check(row, made.seen, "" if seen_since else made.skipped)


def _was_carried_out(restart: Operation) -> bool:
    """Whether it came to stopping and starting: one that was refused, as without its data, has not."""
    begun = bool(restart.steps) and restart.steps[0]["status"] == "done"
    return begun and not restart.facts.get("cannot_remake")


def health_rows(ids: Iterable[int]) -> list[Health]:
    """With their instances, whose secrets are not read."""
    rows = Health.objects.select_related("instance").defer("instance__env", "instance__adopted")
    return [row for page in pages(ids) for row in rows.filter(pk__in=page)]
