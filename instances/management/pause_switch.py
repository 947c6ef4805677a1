"""What `pause` and `resume` share: one switch, its two ways."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from instances import documents, lookup
from instances.management.base import FleetCommand
from instances.management.codes import GOOD
from instances.management.display import styled
from instances.models import AuditEntry, Instance
from instances.operations.requester import Requester


class PauseCommand(FleetCommand):
    """Pause and resume: one switch, both ways."""

    once = True

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--customer-id", required=True)

    def switch(self, customer_id: str, requester: Requester) -> Instance:
        raise NotImplementedError

    def run(self, options: dict[str, Any]) -> tuple[Any, int]:
        return documents.instance(self.switch(options["customer_id"], self.requester(options))), GOOD

    def again(self, options: dict[str, Any], earlier: AuditEntry) -> tuple[Any, int]:
        return documents.instance(lookup.instance(options["customer_id"])), GOOD

    def show(self, document: Any) -> None:
        self.line(f"{document['customer_id']}:", styled(document["status"]))
