"""Bring hosts, plans and channels to what a fleet file says; what it does not name is left alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Model

from instances.errors import RequestError
from instances.fleet_file import FleetFile
from instances.models import Channel, Host, Plan

SECRET_FIELDS = frozenset({"env", "url"})


@dataclass(frozen=True)
class Change:
    """One thing created or updated; `fields` maps names to (before, after), secrets left out."""

    kind: str
    name: str
    action: str
    fields: dict[str, tuple[Any, Any]]

    def document(self) -> dict[str, Any]:
        fields = {name: {"before": was, "after": now} for name, (was, now) in self.fields.items()}
        return {"kind": self.kind, "name": self.name, "action": self.action, "fields": fields}


def apply(fleet: FleetFile) -> list[Change]:
    """Create or update everything the file names, all or nothing; returns what changed.

    Fields an entry leaves out keep their value on an existing row and take the default on a new one.
    """
    with transaction.atomic():
        found = [
            _checked(kind, model, entry.model_dump(exclude_unset=True))
            for kind, model, entries in (
                ("host", Host, fleet.hosts),
                ("plan", Plan, fleet.plans),
                ("channel", Channel, fleet.channels),
            )
            for entry in entries
        ]
    return [change for change in found if change]


def _checked(kind: str, model: type[Model], values: dict[str, Any]) -> Change | None:
    try:
        with transaction.atomic():
            return _one(kind, model, values)
    except IntegrityError as error:
        if "host_port_range" not in str(error):
            raise
        raise RequestError(
            f"The fleet file is refused: {kind} {values['name']}: last_port must not be below first_port."
        ) from None


def _one(kind: str, model: type[Model], values: dict[str, Any]) -> Change | None:
    rows = model._default_manager.select_for_update()
    row = rows.filter(name=values["name"]).first()
    if row is None:
        model._default_manager.create(**values)
        return Change(kind, values["name"], "created", {})
    changed = {k: (getattr(row, k), v) for k, v in values.items() if getattr(row, k) != v}
    if not changed:
        return None
    for name, (_, value) in changed.items():
        setattr(row, name, value)
    row.save(update_fields=list(changed))
    hidden = {k: ("(secret)", "(secret)") if k in SECRET_FIELDS else pair for k, pair in changed.items()}
    return Change(kind, values["name"], "updated", hidden)
