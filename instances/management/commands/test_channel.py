"""Send a test message to a channel."""

from argparse import ArgumentParser
from typing import Any

from instances import lookup
from instances.alerts.outbox import send_test
from instances.management.base import FleetCommand, operator
from instances.management.codes import BAD, GOOD
from instances.operations import service


class Command(FleetCommand):
    """The message goes at once, past all that waits, also to a disabled channel, and is tried once."""

    help = "Send one test message to a channel and say whether it arrived."

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name")

    def run(self, options: dict[str, Any]) -> tuple[Any, int]:
        channel = lookup.channel(options["name"])
        sent = send_test(channel, service.OUTSIDE.clock.now(), operator())
        arrived = sent.sent_at is not None
        document = {
            "channel": channel.name,
            "id": str(sent.pk),
            "arrived": arrived,
            "error": sent.error or None,
            "enabled": channel.enabled,
        }
        return document, GOOD if arrived else BAD

    def show(self, document: Any) -> None:
        why = f": {document['error']}" if document["error"] else ""
        said = f"{'arrived' if document['arrived'] else 'did not arrive'}{why}"
        note = "" if document["enabled"] else " (the channel is disabled)"
        self.line(f"{document['channel']}: the message {said}{note}")
