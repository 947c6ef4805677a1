"""Acknowledge an incident."""

from argparse import ArgumentParser
from typing import Any

from instances import lookup
from instances.errors import RequestError
from instances.incidents import documents
from instances.incidents.acknowledge import acknowledge
from instances.management.base import FleetCommand, operator
from instances.management.codes import GOOD
from instances.models import AuditEntry, Incident
from instances.operations import service


class Command(FleetCommand):
    help = "Say that you are looking after an incident: ends its reminders, not the message that it is over."
    once = True

    def arguments(self, parser: ArgumentParser) -> None:
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("--incident-id", type=int, metavar="N")
        which.add_argument("--customer-id", help="the open incident of this customer's instance")

    def run(self, options: dict[str, Any]) -> tuple[Any, int]:
        number, now = options["incident_id"], service.OUTSIDE.clock.now()
        if number is None:
            number = _open_incident(options["customer_id"])
        seen = acknowledge(number, operator(), now, options["reason"])
        return documents.incident(seen, now), GOOD

    def again(self, options: dict[str, Any], earlier: AuditEntry) -> tuple[Any, int]:
        """The incident that was acknowledged then; of a customer, his last one."""
        rows = Incident.objects.filter(customer_id=options["customer_id"] or "", kind="instance")
        number = options["incident_id"] or rows.values_list("pk", flat=True).first()
        return documents.incident(lookup.incident(number), earlier.at), GOOD

    def show(self, document: Any) -> None:
        by, of = document["acknowledged_by"], document["customer_id"] or document["key"]
        self.line(f"incident {document['id']} of {of}: acknowledged by {by}")


def _open_incident(customer_id: str) -> int:
    instance = lookup.instance(customer_id)
    incident = Incident.objects.open().filter(instance=instance, kind="instance").first()
    if incident is None:
        raise RequestError(f"Customer {customer_id} has no open incident.")
    return int(incident.pk)
