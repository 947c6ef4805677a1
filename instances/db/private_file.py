"""A file of SQLite that nobody else on the machine reads: sessions and hashes of passwords are in it."""

from __future__ import annotations

import os
from pathlib import Path

from django.db import connection

MODE = 0o600


def make_private() -> None:
    """Make the database's file where there is none yet; one that holds something keeps the rights it has."""
    path = Path(connection.settings_dict["NAME"])
    if connection.vendor != "sqlite" or not path.is_absolute():  # a database in memory has no path
        return
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, MODE))
    except FileExistsError:  # not opened: to close it again would take SQLite's locks away
        if path.stat().st_size == 0:
            path.chmod(MODE)
    except OSError:
        return  # who opens it next says why that fails
