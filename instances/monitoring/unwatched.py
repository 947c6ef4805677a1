"""What nobody looks at any more is ended, for nobody would find out that it is over, and found anew later."""

from __future__ import annotations

from datetime import datetime

from instances.incidents.lifecycle import close_of
from instances.models import Instance
from instances.monitoring.resources import WARNED_OF, forget

PAUSED = "paused"


def let_go(instance: Instance, now: datetime) -> None:
    """End all that is told of an instance that was paused, and have it found anew once it is resumed.

    Call it in the transaction of the pause, with the row of its health written.
    """
    instance.finding, instance.finding_text, instance.finding_since = "", "", None
    instance.save(update_fields=["finding", "finding_text", "finding_since"])
    close_of(instance, PAUSED, now)
    forget([instance.pk], WARNED_OF)
