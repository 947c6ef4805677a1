"""End a mute before its time."""

from datetime import datetime
from typing import Any

from instances import documents
from instances.alerts import mute
from instances.incidents import mutes
from instances.management.base import operator
from instances.management.codes import GOOD
from instances.management.mute_scope import ScopeCommand
from instances.models import AuditEntry, Instance
from instances.operations import service


class Command(ScopeCommand):
    help = "End a mute; what it held back is sent."
    once = True

    def run(self, options: dict[str, Any]) -> tuple[Any, int]:
        scope, now = self.scope(options), service.OUTSIDE.clock.now()
        ended = mute.unmute(scope, now, by=operator(), reason=options["reason"])
        return self._document(scope, ended, now), GOOD

    def again(self, options: dict[str, Any], earlier: AuditEntry) -> tuple[Any, int]:
        return self._document(self.scope(options), False, service.OUTSIDE.clock.now()), GOOD

    def _document(self, scope: mute.Scope, ended: bool, now: datetime) -> dict[str, Any]:
        still = mutes.end_for(scope.row, now) if isinstance(scope.row, Instance) else None
        return {"name": scope.name, "ended": ended, "muted_until": documents.time(still)}

    def show(self, document: Any) -> None:
        said = "no longer muted" if document["ended"] else "was not muted"
        if document["muted_until"]:
            said = f"still muted by its host or plan until {document['muted_until']}"
        self.line(f"{document['name']}: {said}")
