"""List API tokens."""

from typing import Any

from instances import documents
from instances.management.base import FleetCommand
from instances.management.codes import GOOD
from instances.models import ApiToken

COLUMNS = (
    "name", "scope", "customers", "plans", "hosts", "prefix",
    "created_by", "created_at", "expires_at", "revoked_at", "last_used_at",
)  # fmt: skip


class Command(FleetCommand):
    help = "List the tokens of the HTTP API, without what would let one use them."

    def run(self, options: dict[str, Any]) -> tuple[Any, int]:
        return [documents.token(token) for token in ApiToken.objects.order_by("name")], GOOD

    def show(self, document: Any) -> None:
        self.listing(COLUMNS, document)
