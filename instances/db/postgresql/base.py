"""Django's backend for PostgreSQL, on connections that do not wait for ever.

The server's own limits say nothing when the server is silent: a network that swallows what is sent, a
machine that is frozen. So whoever waits for an answer gives up as well.
"""

from __future__ import annotations

from datetime import UTC
from types import ModuleType
from typing import Any

import psycopg
from django.db.backends.postgresql import base
from django.db.utils import DatabaseErrorWrapper
from django.utils.functional import cached_property
from psycopg.abc import AdaptContext
from psycopg.adapt import Loader
from psycopg.errors import UniqueViolation, _WaitTimeout
from psycopg.pq import Format

from instances.db.errors import CountBehindError


class BoundedConnection(psycopg.Connection[Any]):
    """A connection that is closed when an answer takes longer than `answer_timeout` seconds."""

    answer_timeout: float | None = None

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        try:
            return super().wait(gen, interval, self.answer_timeout if timeout is None else timeout)
        except _WaitTimeout:
            self.pgconn.finish()
            raise psycopg.OperationalError("the database did not answer in time") from None


class TimestampLoader(Loader):
    """Reads a moment by psycopg's own C code, as sessions are in UTC. Django's does it in Python.

    That costs 4 of the 150 microseconds it takes to record a check, three times.
    """

    timezone = UTC  # Django compares it with its own

    def __init__(self, oid: int, context: AdaptContext | None = None) -> None:
        super().__init__(oid, context)
        own = psycopg.adapters.get_loader(oid, Format.TEXT)
        self.load = own(oid, context).load  # type: ignore[method-assign, misc]

    def load(self, data: Any) -> Any:
        raise NotImplementedError


class _Errors(DatabaseErrorWrapper):
    """A row that was refused for the server's own number is no IntegrityError: there is none like it."""

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        if isinstance(error, UniqueViolation):
            from instances.db.numbering import is_behind  # models, which are there when the apps are

            if is_behind(error):
                raise CountBehindError(*error.args).with_traceback(traceback) from error
        super().__exit__(kind, error, traceback)


def _refuse_unheard(connection: BoundedConnection) -> None:
    """A pooler may pass over the limits that were sent; its session may be shared with others as well."""
    try:
        connection.autocommit = True  # which Django sets next
        answer = connection.execute("SELECT current_setting('dockmgr.limits', true)").fetchone()
        if not answer or not answer[0]:
            raise psycopg.OperationalError("unsupported startup parameter: options, which were passed over")
    except BaseException:
        connection.close()
        raise


def _driver() -> ModuleType:
    """psycopg, but for the class of its connections."""
    driver = ModuleType(psycopg.__name__)
    driver.__dict__.update(vars(psycopg), connect=BoundedConnection.connect)
    return driver


class DatabaseWrapper(base.DatabaseWrapper):
    """OPTIONS may hold `answer_timeout`: the seconds a statement's answer may take, None for any."""

    Database = _driver()
    answer_timeout: float | None = None

    @cached_property
    def wrap_database_errors(self) -> DatabaseErrorWrapper:
        return _Errors(self)

    def get_connection_params(self) -> dict[str, Any]:
        params = super().get_connection_params()
        self.answer_timeout = params.pop("answer_timeout", None)
        return params

    def get_new_connection(self, conn_params: dict[str, Any]) -> BoundedConnection:
        connection: BoundedConnection = super().get_new_connection(conn_params)
        connection.answer_timeout = self.answer_timeout
        if "dockmgr.limits=" in conn_params.get("options", ""):
            _refuse_unheard(connection)
        if self.timezone == UTC:
            connection.adapters.register_loader("timestamptz", TimestampLoader)
        return connection
