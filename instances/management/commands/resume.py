"""Put a paused instance back under watch."""

from instances.management.base import PauseCommand
from instances.models import Instance
from instances.operations import calls


class Command(PauseCommand):
    help = "Watch a paused instance again."

    def switch(self, customer_id: str) -> Instance:
        return calls.resume(customer_id)
