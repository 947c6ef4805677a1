"""Remove an instance: its container, and its data only when asked for."""

from argparse import ArgumentParser
from typing import Any

from instances.management.instance_change import InstanceChange
from instances.models import Operation
from instances.operations import service


class Command(InstanceChange):
    help = "Stop and remove an instance's container; the data volume is kept unless --purge-data is given."

    def arguments(self, parser: ArgumentParser) -> None:
        super().arguments(parser)
        parser.add_argument("--purge-data", action="store_true", help="delete the customer's data as well")

    def begin(self, customer_id: str, options: dict[str, Any]) -> Operation:
        return service.begin_decommission(
            customer_id, self.requester(options), purge_data=options["purge_data"]
        )
