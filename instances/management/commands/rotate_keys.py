"""Encrypt every stored secret again, with the first of DOCKMGR_ENCRYPTION_KEYS."""

from typing import Any

from django.db import transaction

from instances.management.base import GOOD, FleetCommand
from instances.models import Channel, Instance, Plan

SECRETS = ((Instance, ["env", "adopted"]), (Plan, ["env"]), (Channel, ["url"]))


class Command(FleetCommand):
    help = "Encrypt all stored secrets with the first key; afterwards the older keys can be dropped."

    def run(self, options: dict[str, Any]) -> tuple[Any, int]:
        rows = 0
        with transaction.atomic():
            for model, fields in SECRETS:
                for row in list(model._default_manager.select_for_update()):
                    row.save(update_fields=fields)
                    rows += 1
        return {"rotated": rows}, GOOD

    def show(self, document: Any) -> None:
        self.console.print(f"{document['rotated']} rows are encrypted with the first key now.")
