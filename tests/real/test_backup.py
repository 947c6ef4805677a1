"""A backup made while things go on is restored on an empty machine, with its keys and not without them."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from dockmgr import keys
from tests.real.commands import ROOT, Commands

pytestmark = pytest.mark.real
SECRET = "s3ntinel-api-key"
FLEET = json.dumps({"plans": [{"name": "pro", "image": "app:1", "env": {"API_KEY": SECRET}}]})


class Machine:
    """One with a state folder of its own; the keys are what it is given."""

    def __init__(self, home: Path, database: str, key: str) -> None:
        home.mkdir()
        self.home = home
        self.environ = {
            "PATH": os.environ["PATH"],
            "DOCKMGR_HOME": str(home),
            "DATABASE_URL": database,
            "DOCKMGR_ENCRYPTION_KEYS": key,
            "DOCKMGR_BROKER_URL": "redis://127.0.0.1:1/0",
        }

    def run(self, *words: str, stdin: str = "", code: int = 0) -> str:
        with closing(Commands(self.environ)) as commands:
            done = commands.run(*words, stdin=stdin)
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr and SECRET not in done.stderr
        return done.stdout if code == 0 else done.stderr

    def fill(self) -> None:
        self.run("migrate", "--verbosity", "0")
        self.run("apply", "-", stdin=FLEET)


@pytest.fixture
def databases(postgres_url: str) -> Iterator[list[str]]:
    """Two empty databases on the server."""
    names = [f"backup_{uuid.uuid4().hex[:8]}" for _ in range(2)]
    with psycopg.connect(postgres_url, autocommit=True) as server:
        for name in names:
            server.execute(f'CREATE DATABASE "{name}"'.encode())
        yield [f"{postgres_url.rpartition('/')[0]}/{name}" for name in names]
        for name in names:
            server.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


def rotated(machine: Machine) -> int:
    """How many rows the machine's keys open, all of them."""
    return int(json.loads(machine.run("rotate_keys", "--json"))["rotated"])


@pytest.mark.thorough
def test_sqlite_is_restored_by_putting_the_file_in_place(tmp_path: Path) -> None:
    key, backup = keys.new_fernet_key(), tmp_path / "backup.sqlite3"
    old = Machine(tmp_path / "old", f"sqlite:///{tmp_path}/old/d.sqlite3", key)
    old.fill()
    document = json.loads(old.run("backup", str(backup), "--json"))
    assert (document["file"], document["bytes"]) == (str(backup), backup.stat().st_size)
    assert len(document["keys"]) == 1 and key not in str(document)
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    assert SECRET.encode() not in backup.read_bytes()
    assert "exists already" in old.run("backup", str(backup), code=2)
    assert "can't be made" in old.run("backup", str(tmp_path / "nowhere" / "b"), code=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backup.sqlite3", "old"]

    new = Machine(tmp_path / "new", f"sqlite:///{tmp_path}/new/d.sqlite3", key)
    shutil.copy(backup, new.home / "d.sqlite3")
    assert rotated(new) == rotated(old) > 0


def test_postgresql_is_restored_into_an_empty_database_and_refuses_other_keys(
    tmp_path: Path, databases: list[str]
) -> None:
    key, backup = keys.new_fernet_key(), tmp_path / "backup.dump"
    old = Machine(tmp_path / "old", databases[0], key)
    with side_by_side(old):
        old.fill()
    old.run("backup", str(backup))
    assert SECRET.encode() not in backup.read_bytes()
    restore = ["pg_restore", "--no-owner", "--exit-on-error", "--dbname", databases[1], str(backup)]
    subprocess.run(restore, check=True)

    assert rotated(Machine(tmp_path / "new", databases[1], key)) == rotated(old) > 0
    foreign = Machine(tmp_path / "foreign", databases[1], keys.new_fernet_key())
    for words in (("-m", "celery", "-A", "dockmgr", "worker"),
                  ("-m", "gunicorn", "--bind", "127.0.0.1:0", "dockmgr.wsgi")):  # fmt: skip
        done = subprocess.run(
            [sys.executable, *words],
            cwd=ROOT,
            env=foreign.environ,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode != 0, words
        assert "opens none of the stored secrets" in done.stderr and "Traceback" not in done.stderr, words
    assert "opens none" in foreign.run("apply", "-", stdin=FLEET, code=1)
    foreign.environ["PATH"] = str(tmp_path)
    assert "pg_dump is needed" in foreign.run("backup", str(tmp_path / "b"), code=3)


MANUAL = (ROOT / "docs" / "production.md").read_text()
IN_POSTGRES = "docker compose exec -T postgres "


def as_documented(begin: str) -> list[list[str]]:
    """What the first block of commands behind these words has to be run beside the database."""
    block = MANUAL.partition(begin)[2].split("```")[1]
    lines = [line.partition(" < ")[0] for line in block.splitlines() if line.startswith(IN_POSTGRES)]
    return [line.removeprefix(IN_POSTGRES).split() for line in lines]


def test_postgresql_is_restored_as_documented_in_place_of_what_is_there_and_in_use(
    tmp_path: Path, databases: list[str], postgres_url: str
) -> None:
    url, backup = databases[0], tmp_path / "backup.dump"
    machine = Machine(tmp_path / "old", url, keys.new_fernet_key())
    machine.fill()
    machine.run("backup", str(backup))
    machine.run("apply", "-", stdin=json.dumps({"hosts": [{"name": "later"}]}))
    name = url.rpartition("/")[2]
    words = as_documented("**In place of a database that is there**") + as_documented("**Restore**")
    assert [line[0] for line in words] == ["dropdb", "createdb", "pg_restore"]
    at = urlsplit(postgres_url)
    server = {"PGHOST": str(at.hostname), "PGPORT": str(at.port), "PGPASSWORD": str(at.password)}
    with psycopg.connect(url):
        for line in words:
            mine = [*line[:1], *(name if word == "dockmgr" else word for word in line[1:])]
            mine[mine.index("--username") + 1] = str(at.username)
            with backup.open("rb") as archive:
                subprocess.run(mine, check=True, stdin=archive, env={**os.environ, **server})
    machine.run("migrate", "--verbosity", "0")
    with psycopg.connect(url) as session:
        assert session.execute("SELECT count(*) FROM instances_host WHERE name = 'later'").fetchone() == (0,)
    assert rotated(machine) > 0


@contextmanager
def side_by_side(machine: Machine) -> Iterator[None]:
    """Another process migrates as well: one waits for the other."""
    words = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
    with subprocess.Popen(words, cwd=ROOT, env=machine.environ, stderr=subprocess.PIPE, text=True) as other:
        yield
        said = other.communicate()[1]
    assert other.returncode == 0, said
