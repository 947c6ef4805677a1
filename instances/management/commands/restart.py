"""Restart an instance: stop, start, wait until healthy."""

from typing import Any

from instances.management.base import InstanceChange
from instances.models import Operation
from instances.operations import service


class Command(InstanceChange):
    help = "Stop and start an instance and wait until it is healthy."

    def begin(self, customer_id: str, options: dict[str, Any]) -> Operation:
        return service.begin_restart(customer_id, self.requester(options))
