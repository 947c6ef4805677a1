"""Show the log of an instance: bounded, redacted, harmless to the terminal."""

import sys
from argparse import ArgumentParser
from typing import Any

from instances import lookup
from instances.db.clock import SYSTEM
from instances.errors import RequestError
from instances.lib.log_lines import for_terminal
from instances.management import streams
from instances.management.base import GOOD, FleetCommand
from instances.operations import read_logs, service


class Command(FleetCommand):
    help = "Show the last lines of an instance's log."

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--customer-id", required=True)
        parser.add_argument("--lines", type=int, default=100)
        parser.add_argument("--since", help="30s, 10m, 2h, 1d or an RFC 3339 time")
        parser.add_argument("--timestamps", action="store_true")
        parser.add_argument("--follow", action="store_true", help="go on until interrupted")

    def run(self, options: dict[str, Any]) -> tuple[Any, int]:
        instance = lookup.instance(options["customer_id"])
        since = read_logs.moment(options["since"], SYSTEM.now())
        what = (instance, service.OUTSIDE.engines, options["lines"], since, options["timestamps"])
        if options["follow"]:
            if options["json"]:
                raise RequestError("--follow never ends, so it can't be one JSON document.")
            self._follow(read_logs.stream(*what))
            return {"lines": []}, GOOD
        tail = read_logs.read(*what)
        return {"customer_id": instance.customer_id, "lines": tail.lines, "truncated": tail.truncated}, GOOD

    def _follow(self, lines: Any) -> None:
        for line in lines:
            sys.stdout.write(_printable(line) + "\n")
            if streams.cut():
                return

    def show(self, document: Any) -> None:
        for line in document["lines"]:
            sys.stdout.write(_printable(line) + "\n")


def _printable(line: str) -> str:
    """A terminal must not obey a customer's program; a file gets the text as it is."""
    return for_terminal(line) if sys.stdout.isatty() else line
