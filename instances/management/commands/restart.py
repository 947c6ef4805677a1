"""Restart an instance: stop, start, wait until healthy."""

from argparse import ArgumentParser
from typing import Any

from instances.management.instance_change import InstanceChange
from instances.models import Operation
from instances.operations import service


class Command(InstanceChange):
    help = "Stop and start an instance and wait until it is healthy."

    def arguments(self, parser: ArgumentParser) -> None:
        super().arguments(parser)
        parser.add_argument(
            "--with-empty-data", action="store_true", help="make what is missing of its storage, empty"
        )

    def begin(self, customer_id: str, options: dict[str, Any]) -> Operation:
        return service.begin_restart(
            customer_id, self.requester(options), with_empty_data=options["with_empty_data"]
        )
