"""Make an API token and show it this one time."""

from argparse import ArgumentParser
from datetime import datetime
from typing import Any

from instances import documents
from instances.access import tokens
from instances.access.reach import reach
from instances.errors import RequestError
from instances.lib import durations
from instances.management import streams
from instances.management.base import FleetCommand, operator
from instances.management.codes import GOOD
from instances.operations import service


class Command(FleetCommand):
    help = "Make a token for the HTTP API. It is shown this one time and can't be had again."

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="who will use it")
        parser.add_argument("--scope", required=True, choices=tokens.SCOPES)
        for word, many in (("customer-id", "customer"), ("plan", "plan"), ("host", "host")):
            parser.add_argument(
                f"--{word}", action="append", default=[], help=f"only this {many}; may be repeated"
            )
        parser.add_argument("--expires", metavar="30d", help="after how long it ends; never unless given")

    def run(self, options: dict[str, Any]) -> tuple[Any, int]:
        now = service.OUTSIDE.clock.now()
        limit = reach(options["customer_id"], options["plan"], options["host"])
        end = _end(options["expires"], now)
        token, text = tokens.issue(options["name"], options["scope"], operator(), now, end, limit)
        return {**documents.token(token), "token": text}, GOOD

    def show(self, document: Any) -> None:
        self.line(document["token"])
        ends = f"until {document['expires_at']}" if document["expires_at"] else "until it is revoked"
        streams.complain(f"Token {document['name']} may {document['scope']} {ends}. It is not shown again.")


def _end(expires: str | None, now: datetime) -> datetime | None:
    if expires is None:
        return None
    lasts = durations.length(expires)
    if lasts is None:
        raise RequestError("How long the token lasts must be like 12h or 30d.")
    return now + lasts
