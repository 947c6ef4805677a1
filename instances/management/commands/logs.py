"""Show the log of an instance: bounded, redacted, harmless to the terminal."""

import sys
from argparse import ArgumentParser
from collections.abc import Iterable
from typing import Any

from instances import lookup
from instances.db.clock import SYSTEM
from instances.errors import RequestError
from instances.lib.log_lines import for_terminal
from instances.management import streams
from instances.management.base import FleetCommand
from instances.management.codes import GOOD
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
        asked = options["customer_id"], options["lines"], options["since"]
        if not options["follow"]:
            return read_logs.log(*asked, service.OUTSIDE, timestamps=options["timestamps"]), GOOD
        instance, since = lookup.instance(asked[0]), read_logs.moment(asked[2], SYSTEM.now())
        if options["json"]:
            raise RequestError("--follow never ends, so it can't be one JSON document.")
        lines = options["lines"], since, options["timestamps"]
        self._follow(read_logs.stream(instance, service.OUTSIDE.engines, *lines))
        return {"lines": []}, GOOD

    def _follow(self, lines: Iterable[str]) -> None:
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
