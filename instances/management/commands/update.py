"""Update an instance: pull, replace, gate, roll back on failure."""

from argparse import ArgumentParser
from typing import Any

from instances.management.base import InstanceChange
from instances.models import Operation
from instances.operations import calls


class Command(InstanceChange):
    help = "Replace an instance's container by one from a newer image; the old one comes back on failure."

    def arguments(self, parser: ArgumentParser) -> None:
        super().arguments(parser)
        parser.add_argument("--image", help="the image to run from now on")

    def begin(self, customer_id: str, options: dict[str, Any]) -> Operation:
        return calls.begin_update(customer_id, self.asked(options), image=options["image"])
