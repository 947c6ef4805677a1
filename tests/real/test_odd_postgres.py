"""A PostgreSQL that others set up or restored: odd defaults don't matter, lost numbering is mended."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from tests.real.commands import Commands
from tests.real.migrated import migrated_on

pytestmark = pytest.mark.real
TABLES = "instances_plan", "auth_permission", "django_migrations"
SHOWN = (
    "from django.db import connection; cursor = connection.cursor(); "
    "cursor.execute('SHOW transaction_isolation'); print(*cursor.fetchone())"
)
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


def test_defaults_of_a_role_change_neither_how_dates_are_read_nor_what_locks_see(
    database: str, tmp_path: Path
) -> None:
    folder = migrated_on(database, "900")
    name = Identifier(database.rpartition("/")[2])
    with psycopg.connect(database, autocommit=True) as session:
        for default in ("datestyle = 'German'", "default_transaction_isolation = 'serializable'"):
            session.execute(SQL("ALTER DATABASE {} SET ").format(name) + SQL(default))
    with closing(Commands({"DATABASE_URL": database, "DOCKMGR_HOME": str(folder)})) as commands:
        swept = commands.run("daily_health", "--json")
        assert swept.returncode == 0, swept.stderr
        shown = commands.run("shell", "-c", SHOWN)
        assert shown.stdout.splitlines()[-1] == "read committed", shown.stderr
