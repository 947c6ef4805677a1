"""List recorded changes, or end one that can't end by itself."""

from argparse import ArgumentParser
from typing import Any

from instances import documents, lookup
from instances.errors import RequestError
from instances.management.base import FleetCommand, operator
from instances.management.codes import GOOD
from instances.management.instance_change import show_operation
from instances.models import Operation
from instances.operations import service
from instances.operations.abandon import abandon
from instances.operations.requester import at_machine

SHOWN = 1000


class Command(FleetCommand):
    help = "List operations, the newest first; --abandon ends one that can't end by itself."

    def arguments(self, parser: ArgumentParser) -> None:
        which = parser.add_mutually_exclusive_group()
        which.add_argument("--customer-id")
        which.add_argument("--abandon", metavar="ID", help="close this one as failed, say what is left")
        parser.add_argument("--reason", default="", help="why it is abandoned, for the record")

    def run(self, options: dict[str, Any]) -> tuple[Any, int]:
        if options["abandon"] is not None:
            requester = at_machine(operator(), options["reason"])
            return documents.operation(
                abandon(options["abandon"], requester, service.OUTSIDE), in_full=True
            ), GOOD
        if options["reason"]:
            raise RequestError("--reason goes with --abandon.")
        rows = Operation.objects.order_by("-created_at")
        if options["customer_id"] is not None:
            rows = rows.filter(customer_id=lookup.known_customer(options["customer_id"]))
        self.say_if_cut(rows, SHOWN, "--customer-id lists those of one customer")
        return [documents.operation(row, in_full=True) for row in rows[:SHOWN]], GOOD

    def show(self, document: Any) -> None:
        if isinstance(document, dict):
            show_operation(self, document)
            return
        columns = ("created_at", "kind", "customer_id", "status", "requested_by", "reason", "error")
        self.listing(columns, document)
