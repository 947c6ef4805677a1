"""PostgreSQL's rows, restored without what numbers them: that is told, and `migrate` mends it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from tests.real.commands import Commands
from tests.real.migrated import migrated_on

pytestmark = pytest.mark.real
TABLES = "instances_plan", "auth_permission", "django_migrations"
FLEET = "plans: [{name: new, image: registry.example.com/agent, container_port: 80}]"


def test_rows_restored_without_their_numbering_are_told_and_mended(database: str, tmp_path: Path) -> None:
    (fleet := tmp_path / "fleet.yaml").write_text(FLEET)
    folder = migrated_on(database, "900")
    with closing(Commands({"DATABASE_URL": database, "DOCKMGR_HOME": str(folder)})) as commands:
        with psycopg.connect(database) as session:
            for table in TABLES:
                session.execute("SELECT setval(pg_get_serial_sequence(%s, 'id'), 1, false)", [table])
        refused = commands.run("apply", str(fleet))
        assert refused.returncode == 3 and "run manage.py migrate" in refused.stderr
        assert "at the same moment" not in refused.stderr + refused.stdout
        mended = commands.run("migrate", "--verbosity", "0")
        assert mended.returncode == 0 and all(table in mended.stderr for table in TABLES)
        assert commands.run("migrate", "--verbosity", "0").stderr == ""
        assert commands.run("apply", str(fleet)).returncode == 0
