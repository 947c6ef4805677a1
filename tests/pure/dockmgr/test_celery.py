"""Celery imports its application before Django is set up, in every process that begins anew."""

from __future__ import annotations

import subprocess
import sys


def test_the_application_is_imported_without_the_apps() -> None:
    done = subprocess.run([sys.executable, "-c", "import dockmgr.celery"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
