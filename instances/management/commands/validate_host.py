"""Ask a host's engine whether it is fit for customers."""

from argparse import ArgumentParser
from typing import Any

from instances import lookup
from instances.management.base import FleetCommand
from instances.management.codes import BAD, GOOD
from instances.operations import service
from instances.operations.validate_host import validate_host


class Command(FleetCommand):
    help = "Validate a host: identity, version, storage driver, isolation, disk, clock and limits."

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name")

    def run(self, options: dict[str, Any]) -> tuple[Any, int]:
        host = lookup.host(options["name"])
        found = validate_host(host, service.OUTSIDE)
        wrong = "; ".join(f"{error['code']}: {error['message']}" for error in found.errors)
        document = {
            "host": host.name,
            "ok": found.valid,
            "message": wrong or f"Host {host.name} is fit for customers.",
            "checks": found.document()["checks"],
            "warnings": found.warnings,
        }
        return document, GOOD if found.valid else BAD

    def show(self, document: Any) -> None:
        rows = [(c["name"], "ok" if c["ok"] else "wrong", c["message"]) for c in document["checks"]]
        self.table(("check", "", "found"), rows)
        for note in document["warnings"]:
            self.line(f"  {note['code']}: {note['message']}")
