"""Commands that make one operation on one instance, and how they show it."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from instances import documents
from instances.lib import validators
from instances.management.base import FleetCommand
from instances.management.codes import BAD, GOOD, OUT_OF_REACH
from instances.management.display import styled
from instances.models import Operation
from instances.operations import service


def outcome(operation: Operation) -> int:
    """The exit code an operation stands for."""
    if operation.status in ("succeeded", "queued", "running"):
        return GOOD
    facts = operation.facts
    # A worker of an older release notes nothing else as trouble of the host.
    return OUT_OF_REACH if facts.get("out_of_reach", facts.get("host_trouble")) else BAD


class InstanceChange(FleetCommand):
    """A command that makes one operation on one instance: `begin` says which."""

    changes = True

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--customer-id", required=True)

    def begin(self, customer_id: str, options: dict[str, Any]) -> Operation:
        raise NotImplementedError

    def run(self, options: dict[str, Any]) -> tuple[Any, int]:
        customer_id = options["customer_id"]
        validators.customer_id(customer_id)
        service.recover(customer_id=customer_id)
        operation = self.hand_on(self.begin(customer_id, options), options)
        return documents.operation(operation, in_full=True), outcome(operation)

    def show(self, document: Any) -> None:
        show_operation(self, document)


def show_operation(command: FleetCommand, document: dict[str, Any]) -> None:
    what = f"{document['kind']} {document['customer_id']}:"
    command.line(what, styled(document["status"]), f" ({document['id']})")
    if steps := [(f"  {s['name']}", s["status"], s["detail"]) for s in document["steps"]]:
        command.table(("step", "status", "detail"), steps)
    if document["error"]:
        command.line(document["error"])
