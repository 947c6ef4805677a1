"""Does a host's engine do what customers' containers need: asked, and not changed."""

from __future__ import annotations

import shutil
from pathlib import Path

from instances.containers import host_fit
from instances.models import Host
from instances.operations.validate import Validation
from instances.outside import Outside, bare_address


def validate_host(host: Host, outside: Outside) -> Validation:
    """What its engine says of itself, whichever that is. Raises EngineUnreachable."""
    asked_at = outside.clock.now()
    facts = outside.engines.at(bare_address(host)).facts()
    seconds = (outside.clock.now() - asked_at).total_seconds()
    free = _free(facts.root) if host.engine_url.startswith("unix:") else None
    found = host_fit.findings(facts, host.engine_id, free, asked_at, seconds)
    return Validation(list(found), list(host_fit.notes(free)))


def _free(root: str) -> int | None:
    """Bytes on a disk of this machine."""
    return shutil.disk_usage(root).free if root and Path(root).is_dir() else None
