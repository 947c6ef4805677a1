"""Take an instance out of watch."""

from instances.management.pause_switch import PauseCommand
from instances.models import Instance
from instances.operations import service
from instances.operations.requester import Requester


class Command(PauseCommand):
    help = "No checks, no healing, no alerts for an instance until it is resumed."

    def switch(self, customer_id: str, requester: Requester) -> Instance:
        return service.pause(customer_id, requester)
