"""A Celery process whose own clock steps: `python -m tests.real.stepping_clock FILE -A dockmgr worker …`.

The file holds by how many seconds the clock is ahead, negative when it is behind.
"""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from django.utils import timezone


def main() -> None:
    ahead, real = Path(sys.argv[1]), time.time
    time.time = lambda: real() + float(ahead.read_text())
    timezone.now = _now
    from instances.db import clock
    from instances.lib.clock import Clock

    Clock.now = lambda self: _now()  # type: ignore[method-assign]
    clock.SYSTEM._local = _now
    from celery.__main__ import main as celery

    sys.argv = ["celery", *sys.argv[2:]]
    celery()


def _now() -> datetime:
    return datetime.fromtimestamp(time.time(), UTC)


if __name__ == "__main__":
    main()
