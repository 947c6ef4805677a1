"""PostgreSQL: the database the environment names, or a private cluster."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from dev.servers.failures import ServerFailed, ServerMissing
from dev.servers.folders import short_folder, work_folder
from dev.servers.packages import require
from dev.servers.ports import on_free_port
from dev.servers.process import ServerProcess

NAME = "dockmgr"  # of the role and of its database
ANSWER_TIMEOUT = 5  # seconds
SCHEMES = ("postgres://", "postgresql://")
ACCOUNTS = ("postgres", "nobody")
# A throwaway cluster need not survive a power cut.
FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


@contextmanager
def postgres(folder: Path, environ: Mapping[str, str]) -> Iterator[str]:
    """`DATABASE_URL` when that names PostgreSQL, left as it is, or the URL of a private, empty database.

    The cluster lives in a temporary folder, because the account that must run it cannot enter every
    caller's; its log is below `folder`. `ServerMissing` when the named one does not answer.
    """
    named = environ.get("DATABASE_URL", "")
    if named.startswith(SCHEMES):
        _must_answer(named)
        yield named
        return
    initdb = require("initdb", "postgresql", "PostgreSQL")
    with work_folder(folder, "postgres") as work, short_folder() as short:
        cluster = _Cluster(Path(initdb).resolve().parent, short, work, _account())
        cluster.create()
        server, url = on_free_port(cluster.start)
        try:
            yield url
        finally:
            server.stop()


@dataclass(frozen=True)
class _Cluster:
    programs: Path
    folder: Path  # the account's own
    work: Path
    account: str | None  # None: the one we run as
    password: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)

    def create(self) -> None:
        secret = self.folder / "password"
        secret.write_text(self.password)
        if self.account:
            shutil.chown(self.folder, self.account)
            shutil.chown(secret, self.account)
        self._initdb("--username", NAME, "--auth", "password", "--pwfile", str(secret))
        secret.unlink()

    def _initdb(self, *options: str) -> None:
        command = [str(self.programs / "initdb"), "--pgdata", str(self._data), "--no-sync", "--encoding=UTF8"]
        done = subprocess.run(  # noqa: S603 our own command line
            [*command, "--locale=C", *options],
            capture_output=True,
            text=True,
            check=False,
            cwd=self.folder,
            user=self.account,
            group=pwd.getpwnam(self.account).pw_gid if self.account else None,
            extra_groups=[] if self.account else None,
        )
        if done.returncode:
            raise ServerFailed(f"PostgreSQL could not make a cluster.\n{done.stderr}")

    def start(self, port: int) -> tuple[ServerProcess, str]:
        settings = [
            f"port={port}",
            "listen_addresses=127.0.0.1",
            f"unix_socket_directories={self.folder}",
            *FAST,
        ]
        options = [part for setting in settings for part in ("-c", setting)]
        command = [str(self.programs / "postgres"), "-D", str(self._data), *options]
        server = ServerProcess(
            "PostgreSQL",
            command,
            self.work / "postgres.log",
            user=self.account,
            folders=[self.folder, self.work],
            stop_signal=signal.SIGINT,  # TERM would wait for every client to leave
        )
        base = f"postgres://{NAME}:{self.password}@127.0.0.1:{port}"
        try:
            server.wait_until(lambda: _answers(f"{base}/postgres"))
            _create_database(f"{base}/postgres")
        except BaseException:
            server.stop()
            raise
        return server, f"{base}/{NAME}"

    @property
    def _data(self) -> Path:
        return self.folder / "data"


def _account() -> str | None:
    """PostgreSQL refuses to run as root: the account to run as instead."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next((account for account in ACCOUNTS if account in known), None)


def _create_database(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{NAME}"')


def _answers(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=ANSWER_TIMEOUT).close()
    except psycopg.OperationalError:
        return False
    return True


def _must_answer(url: str) -> None:
    try:
        psycopg.connect(url, connect_timeout=ANSWER_TIMEOUT).close()
    except psycopg.Error as error:
        raise ServerMissing(f"The database that DATABASE_URL names does not answer: {error}") from error
