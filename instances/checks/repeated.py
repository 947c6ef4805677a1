"""Checks that come twice: their worker ended before it could say it was done, or the broker was set back."""

from __future__ import annotations

from collections.abc import Container

from msgspec.structs import replace

from instances.checks.observe import Check


def of_known_sweep(check: Check, known: Container[str]) -> Check:
    """The same check; one whose sweep is not here any more stands for itself."""
    if check.request.sweep_id is None or check.request.sweep_id in known:
        return check
    return replace(check, request=replace(check.request, sweep_id=None))
