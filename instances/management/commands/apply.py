"""Create or update hosts, plans and channels from a fleet file."""

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from instances.errors import RequestError
from instances.fleet.apply import apply
from instances.fleet.file import parse
from instances.management.base import GOOD, FleetCommand
from instances.models import AuditEntry
from instances.operations import service
from instances.operations.validate import timing_bounds


class Command(FleetCommand):
    help = "Create or update hosts, plans and channels from a YAML file (- for standard input); idempotent."
    once = True

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file")

    def run(self, options: dict[str, Any]) -> tuple[Any, int]:
        changes = apply(parse(_read(options["file"]), timing_bounds()), service.OUTSIDE.clock)
        return {"changes": [change.document() for change in changes]}, GOOD

    def again(self, options: dict[str, Any], earlier: AuditEntry) -> tuple[Any, int]:
        return {"changes": []}, GOOD

    def show(self, document: Any) -> None:
        for change in document["changes"]:
            self.console.print(f"{change['kind']} {change['name']}: {change['action']}")
            for name, pair in change["fields"].items():
                self.console.print(f"  {name}: {pair['before']} → {pair['after']}", markup=False)
        if not document["changes"]:
            self.console.print("nothing changed")


def _read(name: str) -> str:
    try:
        return sys.stdin.read() if name == "-" else Path(name).read_text()
    except (OSError, UnicodeDecodeError):
        raise RequestError(f"The fleet file {name} can't be read as text.") from None
