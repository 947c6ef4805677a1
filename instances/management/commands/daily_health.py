"""The sweep, carried out here and waited for."""

from argparse import ArgumentParser
from typing import Any

from instances.fleet.sweep import sweep_here
from instances.management.base import FleetCommand, operator
from instances.management.codes import GOOD
from instances.management.health_report import exit_code, show_checks


class Command(FleetCommand):
    help = "Check all active instances, re-check suspects, restart what is down, wait until settled."

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--enqueue", action="store_true", help="let the workers do it")

    def run(self, options: dict[str, Any]) -> tuple[Any, int]:
        by = operator()
        if options["enqueue"]:
            from tasks.checks import enqueue_sweep

            return {"enqueued": enqueue_sweep(by)}, GOOD
        with self.progress(options) as tell:
            report = sweep_here(by, progress=tell)
        document = report.document()
        return document, exit_code(document["instances"])

    def show(self, document: Any) -> None:
        show_checks(self, document)
