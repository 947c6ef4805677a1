"""Checks that come twice: their worker ended before it could say it was done, or the broker was set back."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from instances.checks.observe import Check
from instances.models import Sweep


def of_known_sweeps(checks: Sequence[Check]) -> list[Check]:
    """The same checks; one whose sweep is not here any more stands for itself."""
    asked = {check.request.sweep_id for check in checks if check.request.sweep_id}
    gone = asked - {str(pk) for pk in Sweep.objects.filter(pk__in=asked).values_list("pk", flat=True)}
    return [
        replace(check, request=replace(check.request, sweep_id=None))
        if check.request.sweep_id in gone
        else check
        for check in checks
    ]
