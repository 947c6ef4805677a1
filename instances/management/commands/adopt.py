"""Bring an existing container under management, without touching it."""

from argparse import ArgumentParser
from typing import Any

from instances import documents
from instances.containers.adoption_summary import summary
from instances.health.state import NEVER_HEALTHY
from instances.management.base import GOOD, FleetCommand
from instances.management.display import styled
from instances.models import Instance
from instances.operations import adopt, service
from instances.operations.adoptable import AdoptRequest, look


class Command(FleetCommand):
    help = "Bring an existing container under management: it is looked at, and neither restarted nor changed."

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--customer-id", required=True)
        parser.add_argument("--subdomain", required=True)
        parser.add_argument("--container", required=True, help="its name or id")
        parser.add_argument("--plan", default="pro")
        parser.add_argument("--host", help="where the container is; not needed when there is one host")
        parser.add_argument("--force", action="store_true", help="even if it does not answer well")
        parser.add_argument(
            "--accept-host-access", action="store_true", help="even if it reaches its host; shown for good"
        )
        parser.add_argument("--request-id", help="asking twice with the same id does it once")

    def run(self, options: dict[str, Any]) -> tuple[Any, int]:
        keys = ("customer_id", "subdomain", "container", "plan", "host", "force", "accept_host_access")
        order = AdoptRequest(**{key: options[key] for key in keys}).checked()
        instance = adopt.adopted_before(order, options["request_id"]) or self._adopt(order, options)
        return documents.instance(instance), GOOD

    def _adopt(self, order: AdoptRequest, options: dict[str, Any]) -> Instance:
        service.recover(customer_id=order.customer_id)
        found = look(order, service.OUTSIDE)
        if not options["json"]:
            self.console.print(f"What {order.container} has of its own, and keeps:")
            self.table(("what", "which"), summary(found.document, found.env, found.facts.ports))
        return adopt.adopt(found, service.OUTSIDE, self.requester(options))

    def show(self, document: Any) -> None:
        self.console.print(
            f"{document['customer_id']} is under management: {styled(document['container'])} at "
            f"{document['access_url']} was left as it is"
        )
        if document["never_healthy"]:
            self.console.print(NEVER_HEALTHY)
