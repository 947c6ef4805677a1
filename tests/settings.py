"""Settings of a test run: dockmgr's own, with a home of its own that goes away with the run."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

MEMORY = Path("/dev/shm")
ROOM = 1024**3  # bytes; a container's is too small for many processes of a run


def _fastest() -> str | None:
    """A folder in memory where there is one with room: what is kept safe there waits for no disk."""
    usable = os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM
    return str(MEMORY) if usable else None


HOME = Path(tempfile.mkdtemp(prefix="dockmgr-tests-", dir=_fastest()))
atexit.register(shutil.rmtree, HOME, ignore_errors=True)
# The processes of one run share what the first of them made.
HOME_OF_RUN = Path(os.environ.setdefault("TESTS_HOME", str(HOME)))
GIVEN = dict(os.environ)  # servers named here are used by the real tests
for name in [name for name in os.environ if name.startswith("DOCKMGR_")]:
    del os.environ[name]
os.environ["DOCKMGR_HOME"] = str(HOME)
os.environ["DOCKMGR_STATE_FILE"] = str(HOME / "state.json")
os.environ.setdefault("DATABASE_URL", f"sqlite:///{HOME / 'dockmgr.sqlite3'}")

from dockmgr.settings import *  # noqa: E402, F403
from dockmgr.settings import DATABASES, SQLITE_OPTIONS  # noqa: E402

# The real one takes most of a second, and every test with a person would pay for it.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

# Nobody asks for a static file here, and every client would look for all of them anew.
WHITENOISE_USE_FINDERS = WHITENOISE_AUTOREFRESH = False

# No test outlives a loss of power, so nothing waits for the disk.
if "sqlite" in DATABASES["default"]["ENGINE"]:
    started = str(SQLITE_OPTIONS["init_command"]).replace("synchronous=NORMAL", "synchronous=OFF")
    DATABASES["default"]["OPTIONS"] = {**SQLITE_OPTIONS, "init_command": started}

# Threads of one test share the database, which SQLite's memory does not allow.
DATABASES["default"]["TEST"] = (
    {"NAME": str(HOME / "test.sqlite3")} if "sqlite" in DATABASES["default"]["ENGINE"] else {}
)
