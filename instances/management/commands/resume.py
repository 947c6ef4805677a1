"""Put a paused instance back under watch."""

from instances.management.pause_switch import PauseCommand
from instances.models import Instance
from instances.operations import service
from instances.operations.requester import Requester


class Command(PauseCommand):
    help = "Watch a paused instance again."

    def switch(self, customer_id: str, requester: Requester) -> Instance:
        return service.resume(customer_id)
