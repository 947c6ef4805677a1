"""Celery imports its application before Django is set up, in every process that begins anew."""

from __future__ import annotations

import subprocess
import sys


def test_a_worker_that_is_ready_has_what_it_loaded_left_alone_by_the_garbage_collector() -> None:
    told = "gc.get_threshold() == dockmgr.celery.GARBAGE and gc.get_freeze_count() > 10_000"
    code = f"import gc, dockmgr.celery; dockmgr.celery.look_for_garbage_less_often(); print({told})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("True\n", "")
