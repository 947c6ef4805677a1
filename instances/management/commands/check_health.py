"""Check instances without ever restarting them."""

from argparse import ArgumentParser
from typing import Any

from instances import documents, lookup
from instances.checks.roster import Roster
from instances.fleet.sweep import check_here
from instances.fleet.sweep_report import health_rows
from instances.management.base import FleetCommand
from instances.management.health_report import exit_code, show_checks
from instances.models import Instance


class Command(FleetCommand):
    help = "Probe, judge and record; never restarts anything."

    def arguments(self, parser: ArgumentParser) -> None:
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("--customer-id")
        which.add_argument("--all", action="store_true")
        parser.add_argument("--enqueue", action="store_true", help="let the workers do it")

    def run(self, options: dict[str, Any]) -> tuple[Any, int]:
        instances = self._chosen(options)
        if options["enqueue"]:
            return _enqueue(instances), 0
        roster = Roster.of_rows(instances)
        with self.progress(options) as tell:
            made = {r.check.request.instance_id: r for r in check_here(roster, progress=tell)}
        document = documents.checks(
            documents.fresh_check(row, made[row.pk].seen, made[row.pk].skipped) for row in health_rows(made)
        )
        return document, exit_code(document["instances"])

    def _chosen(self, options: dict[str, Any]) -> list[Instance]:
        if options["customer_id"] is not None:
            return [lookup.instance(options["customer_id"])]
        return list(Instance.objects.active().without_secrets())

    def show(self, document: Any) -> None:
        show_checks(self, document)


def _enqueue(instances: list[Instance]) -> dict[str, Any]:
    from tasks.checks import enqueue_checks

    return {"enqueued": enqueue_checks([instance.customer_id for instance in instances])}
