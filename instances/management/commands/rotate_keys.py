"""Encrypt every stored secret again, with the first of DOCKMGR_ENCRYPTION_KEYS."""

from typing import Any

from django.db import transaction
from django.db.models import Model

from instances.access.keys import stored_secrets
from instances.db.locks import locked
from instances.errors import UnreadableSecret
from instances.management import streams
from instances.management.base import FleetCommand
from instances.management.codes import BAD, GOOD


class Command(FleetCommand):
    help = "Encrypt all stored secrets with the first key; afterwards the older keys can be dropped."
    needs_keys = False  # it names what they don't open

    def run(self, options: dict[str, Any]) -> tuple[Any, int]:
        rotated, unreadable = 0, []
        for kind, model, fields in stored_secrets():
            for key in model._default_manager.order_by("pk").values_list("pk", flat=True):
                try:
                    rotated += _rotate(model, key, fields)
                except UnreadableSecret:
                    rows = model._default_manager.defer(*fields).filter(pk=key)
                    unreadable += [f"{kind} {row}" for row in rows]  # none where it was deleted meanwhile
        if not unreadable:
            return {"rotated": rotated}, GOOD
        streams.complain(f"{UnreadableSecret()} It is kept as it is: {', '.join(unreadable)}.")
        return {"rotated": rotated, "unreadable": unreadable}, BAD

    def show(self, document: Any) -> None:
        self.line(f"{document['rotated']} rows are encrypted with the first key now.")


@transaction.atomic
def _rotate(model: type[Model], key: int, fields: tuple[str, ...]) -> int:
    """Encrypt one row's secrets anew; 0 when it is gone. Raises UnreadableSecret and leaves it as it is."""
    row = locked(model._default_manager.filter(pk=key)).first()
    if row is None:
        return 0
    for name in fields:
        setattr(row, name, getattr(row, name))  # what was never read would be kept as it is
    row.save(update_fields=fields)
    return 1
