"""The state file other tools read: rewritten whole and atomically; the database stays the truth."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings

from instances.models import Health, Sweep

logger = logging.getLogger(__name__)


def write(path: Path | None = None) -> None:
    """Rewrite the state file with what the database says now (mode 0600, epoch seconds).

    Writers take turns under a lock and read inside it, so an older picture never replaces a newer
    one. A folder that can't be written is logged as an error and stops nothing.
    """
    target = path or settings.STATE_FILE
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with open(target.with_suffix(".lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            _replace(target, json.dumps(content(), separators=(",", ":")))
    except OSError as error:
        logger.error("The state file can't be written: %s.", error.strerror)


def content() -> dict[str, Any]:
    rows = Health.objects.filter(
        instance__decommissioned_at=None, instance__provisioned_at__isnull=False
    ).values_list("instance__customer_id", "last_healthy_at", "failures", "last_restart_at", "version")
    last = Sweep.objects.exclude(finished_at=None).order_by("-started_at").first()
    return {
        "lastHealthCheck": _epoch(last.finished_at if last else None),
        "instances": {
            customer_id: {
                "lastHealthy": _epoch(healthy),
                "consecutiveFailures": failures,
                "lastRestart": _epoch(restart),
                "version": version or None,
            }
            for customer_id, healthy, failures, restart, version in rows
        },
    }


def _epoch(moment: datetime | None) -> int | None:
    return int(moment.timestamp()) if moment else None


def _replace(target: Path, text: str) -> None:
    descriptor, draft = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, target)
    except BaseException:
        os.unlink(draft)
        raise
