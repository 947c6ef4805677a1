"""Take the engine that answers at a host's address for the host's own."""

from argparse import ArgumentParser
from typing import Any

from instances import lookup
from instances.fleet.accept import accept_engine
from instances.management.base import FleetCommand
from instances.management.codes import GOOD
from instances.operations import service


class Command(FleetCommand):
    help = "Accept that another Docker Engine answers for a host: instances are looked after there again."

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", required=True)

    def run(self, options: dict[str, Any]) -> tuple[Any, int]:
        host, outside = lookup.host(options["host"]), service.OUTSIDE
        before, after = accept_engine(host, outside.engines, outside.clock.now())
        return {"host": host.name, "engine_before": before or None, "engine": after}, GOOD

    def show(self, document: Any) -> None:
        self.line(f"host {document['host']}: its engine is {document['engine']} from now on")
