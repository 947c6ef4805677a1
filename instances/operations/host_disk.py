"""The disk that a host's engine keeps its images on, where it can be looked at from here."""

from __future__ import annotations

import shutil
from pathlib import Path

from instances.models import Host


def free_bytes(host: Host, root: str) -> int | None:
    """Bytes that are free at the engine's `root`, or None where that is no folder of this machine.

    An engine that is reached over a network has its root on another machine, whatever is at that path here.
    """
    is_here = host.engine_url.startswith("unix:") and bool(root) and Path(root).is_dir()
    return shutil.disk_usage(root).free if is_here else None
