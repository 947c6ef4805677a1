"""List what is or was wrong."""

from argparse import ArgumentParser
from typing import Any

from instances import lookup
from instances.containers.facts import short_id
from instances.errors import RequestError
from instances.incidents import documents
from instances.lib import durations
from instances.management.base import FleetCommand
from instances.management.codes import GOOD
from instances.models import Incident
from instances.operations import service

MOST = 1000
COLUMNS = ("id", "opened_at", "status", "severity", "of", "message", "down for", "restarts", "known to")


class Command(FleetCommand):
    help = "List incidents of instances, hosts and dockmgr itself, the newest first."

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--open", action="store_true", help="only open incidents")
        parser.add_argument("--customer-id")
        parser.add_argument("--limit", type=int, default=100, help=f"how many at most, up to {MOST}")
        parser.add_argument(
            "--events", action="store_true", help="with the timeline of each, and its containers' last words"
        )

    def run(self, options: dict[str, Any]) -> tuple[Any, int]:
        if not 1 <= options["limit"] <= MOST:
            raise RequestError(f"The limit must be between 1 and {MOST}.")
        rows = Incident.objects.open() if options["open"] else Incident.objects.all()
        if options["customer_id"] is not None:
            rows = rows.filter(customer_id=lookup.known_customer(options["customer_id"]))
        now = service.OUTSIDE.clock.now()
        also = {"events": options["events"], "words": options["events"]}
        self.say_if_cut(rows, options["limit"], f"--limit lists up to {MOST}")
        return documents.incidents(rows[: options["limit"]], now, **also), GOOD

    def show(self, document: Any) -> None:
        self.table(COLUMNS, [line for row in document for line in _lines(row)])


def _lines(row: dict[str, Any]) -> list[tuple[Any, ...]]:
    whom = row["customer_id"] or row["host"] or row["kind"]
    down = durations.span(row["downtime_seconds"])
    known = "muted" if row["muted_until"] else row["acknowledged_by"]
    first = (row["id"], row["opened_at"], row["status"], row["severity"], whom, row["message"], down)
    events = [("", event["at"], event["kind"], "", "", event["text"]) for event in row.get("events", [])]
    words = [line for each in row.get("last_words", []) for line in _last_words(each)]
    return [(*first, row["restarts"], known), *events, *words]


def _last_words(kept: dict[str, Any]) -> list[tuple[Any, ...]]:
    """The end of a log; programs of customers wrote it."""
    head = f"container {short_id(kept['container_id'])} wrote last:"
    return [("", kept["at"], "log", "", "", head), *(("", "", "", "", "", line) for line in kept["lines"])]
