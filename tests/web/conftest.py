"""The same fakes as in the fast tests, and somebody who calls the API."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from celery.backends.cache import CacheBackend

import dockmgr.urls
from instances.api import event_stream, log_stream, streams
from instances.api import middleware as api_middleware
from tasks.app import app
from tasks.broker import rpc
from tests.factories import World
from tests.fast.conftest import Message, flushing_is_cheap, run, sent, world
from tests.web.callers import Caller, Workers, a_caller

assert dockmgr.urls.desk  # tests are made for each page of the desk, which is imported with the URLs
__all__ = ["flushing_is_cheap", "run", "sent", "world"]


@pytest.fixture(autouse=True)
def short_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits ten minutes for the end of a stream of events, whatever clock it goes by."""
    monkeypatch.setattr(streams, "LASTS", timedelta(seconds=2))


@pytest.fixture
def caller(world: World, monkeypatch: pytest.MonkeyPatch) -> Caller:
    """A caller of the API whose token may do everything; the API's clock is the world's."""
    for clocked in (api_middleware, rpc, log_stream, event_stream, streams):
        monkeypatch.setattr(clocked, "SYSTEM", world.clock)
    return a_caller(world)


@pytest.fixture
def workers(
    world: World, caller: Caller, sent: Callable[[str], list[Message]], monkeypatch: pytest.MonkeyPatch
) -> Workers:
    """Workers that answer the API; results are kept in memory."""
    monkeypatch.setattr(app, "_backend_cache", CacheBackend(app, backend="memory"))
    workers = Workers(world, sent)
    for waiting in (rpc, log_stream, event_stream, streams):
        monkeypatch.setattr(waiting, "SYSTEM", workers)
    return workers
