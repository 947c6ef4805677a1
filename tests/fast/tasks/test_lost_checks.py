"""A check that can't be written down in time is lost with one line, and nobody waits for it any longer."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

import pytest
from django.db import OperationalError

from instances.checks.check_requests import request_as_listed
from instances.db.batch_writer import BatchWriter
from instances.errors import OutOfReachError
from instances.models import HealthCheck
from tasks import checks
from tests.factories import World

pytestmark = pytest.mark.django_db
WHY = "The database does not answer, so what the check saw is lost."


class NeverWritten(BatchWriter[Any, Any]):
    """A writer whose database is silent."""

    def __init__(self) -> None:
        super().__init__(lambda items: items)
        self.futures: list[Future[Any]] = []

    def submit(self, item: Any) -> Future[Any]:
        self.futures.append(Future())
        return self.futures[-1]


def away(_items: Sequence[Any]) -> Sequence[Any]:
    raise OperationalError("the database did not answer in time")


@pytest.fixture(params=[NeverWritten, lambda: BatchWriter(away)], ids=["silent", "away"])
def writer(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    made: Callable[[], Any] = request.param
    writer = made()
    monkeypatch.setattr(checks, "COMMITTER", writer)
    monkeypatch.setattr(checks, "COMMIT_SECONDS", 0.05)
    return writer


@pytest.mark.usefixtures("writer")
def test_a_check_of_a_sweep_is_lost_with_one_line(world: World, caplog: pytest.LogCaptureFixture) -> None:
    request = request_as_listed(world.instance(), world.outside.engines)
    with caplog.at_level(logging.WARNING, "tasks"):
        assert checks.check_health("c1", request.message()) is None
    assert [record.getMessage() for record in caplog.records if record.name == "tasks.checks"] == [
        f"c1: {WHY}"
    ]
    assert not HealthCheck.objects.exists()


@pytest.mark.usefixtures("writer")
def test_whoever_waits_for_a_check_is_told(world: World) -> None:
    world.instance()
    with pytest.raises(OutOfReachError, match=WHY):
        checks.check_health("c1")


def test_what_nobody_waits_for_any_more_is_not_written_later(world: World, writer: Any) -> None:
    world.instance()
    with pytest.raises(OutOfReachError):
        checks.check_health("c1")
    assert all(future.cancelled() for future in getattr(writer, "futures", []))
