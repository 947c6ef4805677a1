"""What `mute` and `unmute` share: naming an instance, a host or a plan."""

from argparse import ArgumentParser
from typing import Any

from instances.alerts.mute import Scope, scope
from instances.management.base import FleetCommand


class ScopeCommand(FleetCommand):
    """A command about one instance, or about all of a host or of a plan."""

    def arguments(self, parser: ArgumentParser) -> None:
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("--customer-id")
        which.add_argument("--host", metavar="NAME")
        which.add_argument("--plan", metavar="NAME")

    def scope(self, options: dict[str, Any]) -> Scope:
        return scope(options["customer_id"], options["host"], options["plan"])
