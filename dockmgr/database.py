"""Django's settings for a DATABASE_URL, with bounds on every wait for PostgreSQL."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

import dj_database_url
from django.core.exceptions import ImproperlyConfigured

from dockmgr.environment import SPECIAL_CHARACTERS

CONNECT_SECONDS = 5
IDLE_SECONDS = 15  # an open transaction may do nothing: then its process is taken for frozen
# What the network alone can tell: nobody acknowledges for 10 s, or answers to keepalives for 14.
NETWORK_OPTIONS = {
    "connect_timeout": CONNECT_SECONDS,
    "keepalives_idle": 5,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
_WHOLE = re.compile(r"-?[0-9]+")  # of the waits, one below 0 is without an end
SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
SQLITE_OPTIONS = {
    "timeout": 20,
    "transaction_mode": "IMMEDIATE",
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA busy_timeout=20000;",
}


def database(url: str, statement_seconds: float = 8.0) -> dict[str, Any]:
    """Django's settings for a DATABASE_URL; SQLite and PostgreSQL are the two we test.

    A statement may take `statement_seconds` and wait half of that for a lock, by the server's clock;
    a second later whoever waits gives up by its own. `?pgbouncer=1` stands for a pooler, which refuses
    sessions that begin with limits: they are then to be set at the role.
    """
    scheme = _scheme(url)
    if scheme == "sqlite":
        if "?" in url:
            raise ImproperlyConfigured("DATABASE_URL has an option, and with SQLite none is taken.")
        return {**_parsed(url), "OPTIONS": SQLITE_OPTIONS}
    config = _parsed(url, engine="instances.db.postgresql")
    given = dict(config.get("OPTIONS", {}))
    pooled = str(given.pop("pgbouncer", "0")).lower() not in ("", "0", "false", "no")
    _refuse_unknown(given)
    session = "" if pooled else _session(statement_seconds)
    options = " ".join(filter(None, (session, given.pop("options", ""))))
    config["OPTIONS"] = {
        **NETWORK_OPTIONS,
        "answer_timeout": statement_seconds + 1,
        **({"options": options} if options else {}),
        **given,
    }
    config["DISABLE_SERVER_SIDE_CURSORS"] = pooled
    config["CONN_HEALTH_CHECKS"] = True
    return config


def _scheme(url: str) -> str:
    """Raises ImproperlyConfigured for what is no database we test; nothing of it is shown."""
    scheme, separator, rest = url.partition("://")
    if scheme not in ("sqlite", "postgres", "postgresql") or not separator:
        raise ImproperlyConfigured(
            "DATABASE_URL is that of another database; allowed are sqlite:/// and postgres://."
        )
    if scheme == "sqlite" and rest in ("", "/", ":memory:", "/:memory:"):  # which each process has of its own
        raise ImproperlyConfigured("DATABASE_URL names no file; it looks like sqlite:////folder/file.")
    return scheme


def _parsed(url: str, **given: str) -> dict[str, Any]:
    try:
        parts = urlsplit(url)
        config: dict[str, Any] = dict(dj_database_url.parse(url, **given))  # type: ignore[arg-type]
        if parts.fragment or parts.port == 0 or "@" in parts.path:
            raise ValueError
    except ValueError:  # also a port that is no number, and brackets that hold no address
        raise ImproperlyConfigured(f"DATABASE_URL can't be read. {SPECIAL_CHARACTERS}") from None
    if not config.get("NAME") or (parts.scheme != "sqlite" and "/" in parts.path.strip("/")):
        raise ImproperlyConfigured(
            f"DATABASE_URL ends with no database's name; it looks like postgres://user:password@host/name. "
            f"{SPECIAL_CHARACTERS}"
        )
    return config


def _refuse_unknown(given: dict[str, Any]) -> None:
    """What each connection would fail for; it is not shown, as it may be a part of a password."""
    from psycopg.pq import Conninfo  # SQLite needs no psycopg

    known = {each.keyword.decode() for each in Conninfo.get_defaults()}
    numbers = (str(given[name]) for name in given.keys() & NETWORK_OPTIONS.keys())
    readable = given.get("sslmode", "require") in SSL_MODES and all(map(_WHOLE.fullmatch, numbers))
    if not given.keys() <= known or not readable:
        raise ImproperlyConfigured(
            f"DATABASE_URL has an option that PostgreSQL's client does not take. {SPECIAL_CHARACTERS}"
        )


def _session(statement_seconds: float) -> str:
    # Whatever the server or the role has as its default: dates as psycopg reads them, and locks that see what
    # others have changed meanwhile.
    fixed = (
        "-c application_name=dockmgr -c dockmgr.limits=sent "
        r"-c datestyle=ISO -c default_transaction_isolation=read\ committed"
    )
    milliseconds = {
        "statement_timeout": statement_seconds * 1000,
        "lock_timeout": statement_seconds * 500,
        "idle_in_transaction_session_timeout": IDLE_SECONDS * 1000,
    }
    return " ".join([fixed, *(f"-c {name}={value:.0f}" for name, value in milliseconds.items())])
