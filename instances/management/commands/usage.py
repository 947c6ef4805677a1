"""What customers used."""

import sys
from argparse import ArgumentParser
from typing import Any

from instances import lookup
from instances.errors import RequestError
from instances.lib import durations, sizes
from instances.management.base import FleetCommand
from instances.management.codes import GOOD
from instances.monitoring.usage_report import as_csv, report
from instances.operations import service

COLUMNS = (
    "customer", "plan", "ran", "CPU seconds", "memory GiB hours", "average", "peak", "received", "sent",
    "read", "written", "disk GiB hours", "disk peak",
)  # fmt: skip


class Command(FleetCommand):
    help = (
        "CPU, memory, network, block devices and disk of each customer in a period, for reports and billing."
    )

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--since", default="30d", help="2h, 30d or an RFC 3339 time; 30d if not given")
        parser.add_argument("--customer-id")
        parser.add_argument("--csv", action="store_true", help="print a table with commas")

    def run(self, options: dict[str, Any]) -> tuple[Any, int]:
        if options["csv"] and options["json"]:
            raise RequestError("--csv and --json can't be given together.")
        now, self._as_csv = service.OUTSIDE.clock.now(), options["csv"]
        since = durations.past(options["since"], now)
        if since >= now:
            raise RequestError("The period must begin in the past.")
        wanted = options["customer_id"]
        return report(since, now, None if wanted is None else lookup.known_customer(wanted)), GOOD

    def show(self, document: Any) -> None:
        if self._as_csv:
            sys.stdout.write(as_csv(document))
            return
        self.table(COLUMNS, [_line(row) for row in document])


def _line(row: dict[str, Any]) -> tuple[Any, ...]:
    bytes_of = (
        "memory_average", "memory_peak", "received", "sent", "block_read", "block_written",
    )  # fmt: skip
    counted = (
        durations.span(row["running_seconds"]),
        f"{row['cpu_seconds']:.1f}",
        f"{row['memory_gib_hours']:.3f}",
    )
    return (
        row["customer_id"],
        row["plan"],
        *counted,
        *(sizes.shown(row[f"{name}_bytes"]) for name in bytes_of),
        f"{row['disk_gib_hours']:.3f}",
        sizes.shown(row["disk_peak_bytes"]),
    )
