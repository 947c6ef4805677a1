"""Create or update hosts, plans and channels from a fleet file."""

from argparse import ArgumentParser
from typing import Any

from instances.errors import RequestError
from instances.fleet.apply import apply, rehearse
from instances.fleet.file import parse
from instances.lib.causes import unreadable
from instances.management import streams
from instances.management.base import FleetCommand
from instances.management.codes import GOOD
from instances.models import AuditEntry
from instances.operations import service
from instances.operations.validate import timing_bounds

CONCERNED = {
    "would_drift": "of earlier settings until they are updated",
    "asked_anew": "asked for their health in the new way at once, updated or not",
}


class Command(FleetCommand):
    help = "Create or update hosts, plans and channels from a YAML file (- for standard input); idempotent."
    once = True

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file")
        parser.add_argument("--dry-run", action="store_true", help="show, and change nothing")

    def asked(self, options: dict[str, Any]) -> dict[str, Any]:
        return {"text": self._text(options["file"])}

    def _text(self, name: str) -> str:
        """The file, which may be standard input, and is read once."""
        self._read = getattr(self, "_read", None) or _read(name)
        return self._read

    def run(self, options: dict[str, Any]) -> tuple[Any, int]:
        fleet = parse(self._text(options["file"]), timing_bounds())
        if options["dry_run"]:
            return {**rehearse(fleet, service.OUTSIDE.clock).document(), "dry_run": True}, GOOD
        changes = apply(fleet, service.OUTSIDE.clock)
        return {"changes": [change.document() for change in changes]}, GOOD

    def again(self, options: dict[str, Any], earlier: AuditEntry) -> tuple[Any, int]:
        return {"changes": []}, GOOD

    def show(self, document: Any) -> None:
        for change in document["changes"]:
            self.line(f"{change['kind']} {change['name']}: {change['action']}")
            for name, pair in change["fields"].items():
                self.line(f"  {name}: {pair['before']} → {pair['after']}")
        if not document["changes"]:
            self.line("nothing would change" if document.get("dry_run") else "nothing changed")
        for key, words in CONCERNED.items():
            if document.get(key):
                self.line(f"{words}: {', '.join(document[key])}")


def _read(name: str) -> str:
    try:
        return streams.content(name).decode("utf-8-sig")
    except (OSError, UnicodeError) as error:
        raise RequestError(f"The fleet file {name!r} can't be read: {unreadable(error)}.") from None
