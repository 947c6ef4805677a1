"""Whether this process is about to end: what goes on for long looks here now and then."""

from __future__ import annotations

import threading

ENDING = threading.Event()
