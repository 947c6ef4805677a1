"""What this installation is called on engines: a dump of its database carries that along, as a copy does."""

from __future__ import annotations

import hashlib

from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.recorder import MigrationRecorder

from instances.containers.spec import INSTALLATION_LABEL
from instances.models.applied import Applied

NAME = "installation"


def installation_id() -> str:
    """Whose the containers and volumes are that it makes, in 16 characters; empty where nothing is known."""
    kept = Applied.objects.filter(name=NAME).values_list("value", flat=True).first()
    return kept or from_the_beginning(connection)


def from_the_beginning(database: BaseDatabaseWrapper) -> str:
    """Its name since its first migration, so that a dump from before it was kept has it as well."""
    first = MigrationRecorder(database).migration_qs.order_by("applied", "pk").first()
    return hashlib.sha256(first.applied.isoformat().encode()).hexdigest()[:16] if first else ""


def own_label() -> dict[str, str]:
    """The label that says so. What older releases made has none, and is whoever's who looks."""
    own = installation_id()
    return {INSTALLATION_LABEL: own} if own else {}
