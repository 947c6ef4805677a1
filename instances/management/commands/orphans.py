"""Name what is on the hosts and in no list."""

from argparse import ArgumentParser
from typing import Any

from instances import lookup
from instances.management import streams
from instances.management.base import FleetCommand
from instances.management.codes import GOOD, OUT_OF_REACH
from instances.models import Host
from instances.monitoring.orphans import orphans_on_all
from instances.operations import service


class Command(FleetCommand):
    help = "List containers and volumes of dockmgr that no instance has, on one host or on all."

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", help="the name of one host; without it all are asked")

    def run(self, options: dict[str, Any]) -> tuple[Any, int]:
        hosts = (
            [lookup.host(options["host"])]
            if options["host"] is not None
            else list(Host.objects.order_by("name"))
        )
        found = orphans_on_all(hosts, service.OUTSIDE)
        for sentence in found["unanswered"]:
            streams.complain(sentence)
        self._all_answered = not found["unanswered"]
        return found["orphans"], GOOD if self._all_answered else OUT_OF_REACH

    def show(self, document: Any) -> None:
        if not document and self._all_answered:
            self.line("Every container and volume of dockmgr belongs to an instance.")
            return
        columns = ("host", "kind", "name", "customer_id", "state", "why")
        self.listing(columns, document)
