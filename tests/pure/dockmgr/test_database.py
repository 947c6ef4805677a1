"""The shipped server has room for the sessions of the shipped processes, and each wait has its bound."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from dockmgr.database import database

TOP = Path(__file__).resolve().parents[3]
THREADS = 50  # of a worker that is not told
BESIDE = 21  # threads of a worker that use the database beside the tasks
BEAT = 4
QUESTIONS = 2  # of a web process, asked on threads of their own
COMMANDS = 10
CHANNELS = 40


def number(command: list[str], option: str, default: int) -> int:
    return int(command[command.index(option) + 1]) if option in command else default


def sessions(command: list[str]) -> int:
    """The most sessions a process with this command may have."""
    if command[0] == "gunicorn":
        return number(command, "--workers", 1) * (number(command, "--threads", 1) + QUESTIONS)
    return number(command, "-c", THREADS) + BESIDE if "worker" in command else BEAT


def test_the_shipped_server_has_room_for_all() -> None:
    services = yaml.safe_load((TOP / "docker-compose.yml").read_text())["services"]
    [most] = re.findall(r"max_connections=(\d+)", " ".join(services["postgres"]["command"]))
    named = ("web", "health", "operations", "beat")
    needed = COMMANDS + sum(sessions(services[name]["command"]) for name in named)
    assert f"need {needed} at most" in (TOP / "docker-compose.yml").read_text()
    document = (TOP / "docs" / "production.md").read_text()
    assert f"That is {needed}, and one for each channel" in document
    assert f"takes {most} (`max_connections`)" in document and f"room for {CHANNELS} channels" in document
    assert needed + CHANNELS + 3 <= int(most)


@pytest.mark.parametrize("name", ["web", "health", "operations", "beat"])
def test_a_shipped_process_may_have_more_threads_than_it_needs(name: str) -> None:
    service = yaml.safe_load((TOP / "docker-compose.yml").read_text())["services"][name]
    logs = 2 * settings.LOG_STREAMS if "worker" in service["command"] else 0
    needed = sessions(service["command"]) + CHANNELS + logs
    assert service["pids_limit"] >= 1.5 * needed


def test_a_silent_server_is_given_up_within_15_seconds() -> None:
    options = database("postgres://u:p@h/d")["OPTIONS"]
    assert options["connect_timeout"] + options["answer_timeout"] <= 15
    assert options["tcp_user_timeout"] <= 15_000
    patience = options["keepalives_idle"] + options["keepalives_interval"] * options["keepalives_count"]
    assert patience <= 15
    assert options["options"] == (
        "-c application_name=dockmgr -c dockmgr.limits=sent "
        r"-c datestyle=ISO -c default_transaction_isolation=read\ committed "
        "-c statement_timeout=8000 -c lock_timeout=4000 -c idle_in_transaction_session_timeout=15000"
    )


def test_the_address_has_the_last_word() -> None:
    options = database("postgres://u:p@h/d?connect_timeout=3&options=-c%20statement_timeout%3D99")["OPTIONS"]
    assert (int(options["connect_timeout"]), options["options"].split()[-1]) == (3, "statement_timeout=99")


@pytest.mark.parametrize(("word", "pooled"), [("1", True), ("true", True), ("0", False)])
def test_behind_a_pooler_a_session_begins_without_settings(word: str, pooled: bool) -> None:
    config = database(f"postgres://u:p@h/d?pgbouncer={word}")
    assert ("options" in config["OPTIONS"], "pgbouncer" in config["OPTIONS"]) == (not pooled, False)
    assert config["DISABLE_SERVER_SIDE_CURSORS"] is pooled
    assert config["OPTIONS"]["answer_timeout"] == 9


@pytest.mark.parametrize(
    "option",
    ["sslmode=sometimes", "s3ntinel@h/d=1", "conn_max_agee=1", "sslmod=require", "connect_timeout=s3ntinel"],
)
def test_an_option_that_no_connection_takes_is_refused(option: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="has an option that") as refused:
        database(f"postgres://u:p@h/d?{option}")
    assert "s3ntinel" not in str(refused.value)
    assert database("postgres://u:p@h/d?sslmode=verify-full")["OPTIONS"]["sslmode"] == "verify-full"


def test_no_limit_of_waiting_for_a_connection_is_an_option() -> None:
    assert database("postgres://u:p@h/d?connect_timeout=-1")["OPTIONS"]["connect_timeout"] == "-1"


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite://:memory:"])
def test_an_sqlite_that_no_other_process_sees_is_refused(url: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="names no file"):
        database(url)


def test_an_option_of_sqlite_is_refused() -> None:
    with pytest.raises(ImproperlyConfigured, match="has an option, and with SQLite none is taken"):
        database("sqlite:////srv/d.sqlite3?timeout=60")
    assert database("sqlite:////srv/what%3F.sqlite3")["NAME"] == "/srv/what?.sqlite3"


def test_another_database_is_refused() -> None:
    with pytest.raises(ImproperlyConfigured, match="allowed are sqlite:/// and postgres://"):
        database("mysql://u:p@h/d")
