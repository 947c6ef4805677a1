"""How available the fleet was."""

from argparse import ArgumentParser
from typing import Any

from django.db.models import QuerySet

from instances import lookup
from instances.errors import RequestError
from instances.incidents import documents
from instances.incidents.uptime import report
from instances.lib import durations
from instances.management.base import FleetCommand
from instances.management.codes import GOOD
from instances.models import Instance
from instances.operations import service

COLUMNS = (
    "customer",
    "plan",
    "uptime",
    "from outside",
    "down for",
    "outages",
    "to recover",
    "restarts that helped",
    "down since",
)


class Command(FleetCommand):
    help = "Uptime, outages and how often a restart helped: by instance, by plan and in all."

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--since", default="30d", help="2h, 30d or an RFC 3339 time; 30d if not given")
        which = parser.add_mutually_exclusive_group()
        which.add_argument("--customer-id")
        which.add_argument("--plan", metavar="NAME")

    def run(self, options: dict[str, Any]) -> tuple[Any, int]:
        now = service.OUTSIDE.clock.now()
        since = durations.past(options["since"], now)
        if since >= now:
            raise RequestError("The period must begin in the past.")
        return documents.uptime(report(_chosen(options), since, now)), GOOD

    def show(self, document: Any) -> None:
        rows = [_line(row["customer_id"], row["plan"], row) for row in document["instances"]]
        rows += [_line(_count(row), row["plan"], row) for row in document["plans"]]
        self.table(COLUMNS, [*rows, _line(_count(document["all"]), "all", document["all"])])


def _chosen(options: dict[str, Any]) -> QuerySet[Instance]:
    if options["customer_id"] is not None:
        return Instance.objects.filter(pk=lookup.instance(options["customer_id"]).pk)
    lasting = Instance.objects.present().filter(expires_at=None)
    return lasting if options["plan"] is None else lasting.filter(plan=lookup.plan(options["plan"]))


def _count(row: dict[str, Any]) -> str:
    return f"({row['instances']})"


def _line(name: str, plan: str, row: dict[str, Any]) -> tuple[Any, ...]:
    outside = row["outside"] and row["outside"]["uptime_percent"]
    percent, recovery = row["uptime_percent"], row["mean_time_to_recover_seconds"]
    return (
        name,
        plan,
        "-" if percent is None else f"{percent:g} %",
        "-" if outside is None else f"{outside:g} %",
        durations.span(row["downtime_seconds"]),
        row["outages"],
        "-" if recovery is None else durations.span(recovery),
        f"{row['restarts_helped']} of {row['restarts']}",
        row["down_since"],
    )
