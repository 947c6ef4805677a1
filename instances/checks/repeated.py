"""Checks that come twice: their worker ended before it could say it was done, or the broker was set back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from instances.checks.observe import Check
from instances.lib.clock import AHEAD
from instances.models import HealthCheck

# A sweep's check of an instance, by their ids.
OfSweep = tuple[str | None, int]


def of_sweep(check: Check) -> OfSweep:
    return check.request.sweep_id, check.request.instance_id


def of_known_sweep(check: Check, began: Mapping[str, datetime]) -> Check:
    """The same check; one whose sweep is not here any more stands for itself."""
    if check.request.sweep_id is None or check.request.sweep_id in began:
        return check
    return replace(check, request=replace(check.request, sweep_id=None))


def made_before(
    checks: Sequence[Check], began: Mapping[str, datetime], checked: Mapping[int, datetime | None]
) -> set[OfSweep]:
    """Those of the checks that their sweep's history has already.

    `began` tells when each sweep did, `checked` when each instance was looked at last. No statement where
    nobody was looked at since its sweep began, which is the rule.
    """
    doubted = [check for check in checks if _may_be_there(check, began, checked)]
    if not doubted:
        return set()
    sweeps = {str(check.request.sweep_id) for check in doubted}
    rows = HealthCheck.objects.filter(
        sweep_id__in=sweeps,
        instance_id__in={check.request.instance_id for check in doubted},
        checked_at__gte=min(began[sweep] for sweep in sweeps) - AHEAD,
    )
    return {(str(sweep), instance) for sweep, instance in rows.values_list("sweep_id", "instance_id")}


def _may_be_there(
    check: Check, began: Mapping[str, datetime], checked: Mapping[int, datetime | None]
) -> bool:
    sweep_began = began.get(check.request.sweep_id or "")
    last = checked.get(check.request.instance_id)
    return sweep_began is not None and last is not None and last >= sweep_began - AHEAD
