"""Keep quiet about an instance, a host or a plan for a while."""

from argparse import ArgumentParser
from typing import Any

from instances.alerts import mute
from instances.errors import RequestError
from instances.incidents.documents import mute as mute_document
from instances.management.base import operator
from instances.management.codes import GOOD
from instances.management.mute_scope import ScopeCommand
from instances.models import AuditEntry, Mute
from instances.operations import service


class Command(ScopeCommand):
    help = "Until the given moment nothing is sent about it and nothing is restarted by itself."
    once = True

    def arguments(self, parser: ArgumentParser) -> None:
        super().arguments(parser)
        end = parser.add_mutually_exclusive_group(required=True)
        end.add_argument("--for", dest="lasts", metavar="TIME", help="30m, 2h or 1d; at most 30 days")
        end.add_argument("--until", metavar="TIME", help="an RFC 3339 time with its zone")

    def run(self, options: dict[str, Any]) -> tuple[Any, int]:
        now = service.OUTSIDE.clock.now()
        until = mute.end(options["lasts"], options["until"], now)
        row = mute.mute(self.scope(options), until, now, by=operator(), reason=options["reason"])
        return mute_document(row), GOOD

    def again(self, options: dict[str, Any], earlier: AuditEntry) -> tuple[Any, int]:
        scope = self.scope(options)
        row = Mute.objects.filter(**{scope.column: scope.row}).order_by("-starts_at", "-pk").first()
        if row is None:
            raise RequestError(
                "The mute of this request id is not kept any more: give another one an id of its own."
            )
        return mute_document(row), GOOD

    def show(self, document: Any) -> None:
        self.line(f"{document['name']}: muted until {document['until']}")
