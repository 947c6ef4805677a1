"""List the fleet."""

from typing import Any

from instances import documents
from instances.management.base import FleetCommand
from instances.management.codes import GOOD
from instances.models import Instance


class Command(FleetCommand):
    help = "List all instances with their status."

    def run(self, options: dict[str, Any]) -> tuple[Any, int]:
        rows = Instance.objects.present().without_secrets().select_related("plan", "host", "health")
        return [documents.instance(row) for row in rows.order_by("customer_id")], GOOD

    def show(self, document: Any) -> None:
        columns = ("customer_id", "status", "plan", "host", "version", "access_url", "last_healthy_at")
        self.listing(columns, document)
