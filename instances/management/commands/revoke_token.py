"""End an API token at once."""

from argparse import ArgumentParser
from typing import Any

from instances import documents
from instances.access import tokens
from instances.management.base import FleetCommand
from instances.management.codes import GOOD
from instances.operations import service


class Command(FleetCommand):
    help = "End a token of the HTTP API at once."

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name")

    def run(self, options: dict[str, Any]) -> tuple[Any, int]:
        return documents.token(tokens.revoke(options["name"], service.OUTSIDE.clock.now())), GOOD

    def show(self, document: Any) -> None:
        self.line(f"{document['name']}: revoked at {document['revoked_at']}")
