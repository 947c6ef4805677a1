"""The state folder after `migrate`, made once for all fleets that begin alike."""

from __future__ import annotations

import functools
import tempfile
from contextlib import closing
from pathlib import Path

from tests.real.commands import Commands
from tests.settings import HOME


@functools.cache
def migrated(sweep_interval: str) -> Path:
    """A folder to copy: the SQLite database, with the interval written down, and the keys it was made with.

    It goes away with the run.
    """
    folder = Path(tempfile.mkdtemp(dir=HOME))
    environ = {"DOCKMGR_HOME": str(folder), "DOCKMGR_SWEEP_INTERVAL": sweep_interval}
    with closing(Commands(environ)) as commands:
        done = commands.run("migrate", "--verbosity", "0")
    assert done.returncode == 0, done.stderr
    return folder
