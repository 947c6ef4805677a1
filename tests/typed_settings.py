"""Settings as the type checker loads them: it ends without tidying up, so their home is in its own cache."""

import os
from pathlib import Path

HOME = Path(__file__).resolve().parents[1] / ".mypy_cache" / "home"
HOME.mkdir(parents=True, exist_ok=True)
for name in [name for name in os.environ if name.startswith("DOCKMGR_")]:
    del os.environ[name]
os.environ["DOCKMGR_HOME"] = str(HOME)
os.environ["DATABASE_URL"] = f"sqlite:///{HOME / 'dockmgr.sqlite3'}"

from dockmgr.settings import *  # noqa: E402, F403
