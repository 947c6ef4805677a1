"""List recorded changes."""

from argparse import ArgumentParser
from typing import Any

from instances import documents
from instances.lib import validators
from instances.management.base import GOOD, FleetCommand
from instances.models import Operation

SHOWN = 1000


class Command(FleetCommand):
    help = "List operations, the newest first."

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--customer-id")

    def run(self, options: dict[str, Any]) -> tuple[Any, int]:
        rows = Operation.objects.order_by("-created_at")
        if options["customer_id"] is not None:
            rows = rows.filter(customer_id=validators.customer_id(options["customer_id"]))
        return [documents.operation(row) for row in rows[:SHOWN]], GOOD

    def show(self, document: Any) -> None:
        columns = ("created_at", "kind", "customer_id", "status", "requested_by", "reason", "error")
        self.table(columns, [[row[column] for column in columns] for row in document])
