"""An operation goes on after the database cut its connection, and gives up when that stays away."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, InterfaceError, OperationalError

from instances.containers.spec import previous_name
from instances.db.retry import PATIENCE, WAITS, retry_on_disconnect, retry_while_busy
from instances.models import Operation
from instances.operations import service
from instances.operations.journal import Journal
from tasks.operations import restart
from tests.factories import World
from tests.fast.updates import NEW, begin, in_order, publish, steps

pytestmark = pytest.mark.django_db


def failing(times: int, error: Exception) -> Callable[[], str]:
    left = [error] * times

    def call() -> str:
        if left:
            raise left.pop()
        return "done"

    return call


@pytest.fixture(autouse=True)
def out_of_a_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test runs in a transaction, which is the one place where nothing may be tried again."""
    monkeypatch.setattr("instances.db.retry.connection", Unbound())


class Unbound:
    in_atomic_block = False

    def close_if_unusable_or_obsolete(self) -> None:
        """A test's own connection stays open."""


@pytest.mark.parametrize("error", [OperationalError("terminating connection"), InterfaceError("closed")])
def test_a_cut_is_tried_again(world: World, error: Exception) -> None:
    assert retry_on_disconnect(failing(3, error), world.clock) == "done"
    assert len(world.clock.slept) == 3


def test_a_database_that_stays_away_is_given_up_after_most_of_a_minute(world: World) -> None:
    with pytest.raises(OperationalError, match="gone"):
        retry_on_disconnect(failing(100, OperationalError("gone")), world.clock)
    assert len(world.clock.slept) == PATIENCE.tries - 1
    assert 20 < sum(world.clock.slept) < 60


def test_what_is_no_cut_is_not_tried_again(world: World) -> None:
    with pytest.raises(IntegrityError):
        retry_on_disconnect(failing(1, IntegrityError("twice")), world.clock)
    assert world.clock.slept == []


def test_nothing_is_tried_again_inside_a_transaction(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Unbound, "in_atomic_block", True)
    with pytest.raises(OperationalError):
        retry_on_disconnect(failing(1, OperationalError("cut")), world.clock)


def met(state: str) -> OperationalError:
    """As Django raises what PostgreSQL gave up with this state."""
    error, cause = OperationalError(state), Exception()
    error.__cause__ = cause
    cause.sqlstate = state  # type: ignore[attr-defined]
    return error


@pytest.mark.parametrize("state", ["55P03", "40P01", "40001"])
def test_who_waited_for_others_for_too_long_queues_again(state: str) -> None:
    assert retry_while_busy(failing(WAITS - 1, met(state))) == "done"
    with pytest.raises(OperationalError, match=state):
        retry_while_busy(failing(WAITS, met(state)))


def test_what_is_said_meanwhile_quotes_no_statement(caplog: pytest.LogCaptureFixture) -> None:
    error = met("55P03")
    error.args = ('canceling statement due to lock timeout\nLINE 1: ..."env" FROM "instances..."\n      ^',)
    assert retry_while_busy(failing(1, error)) == "done"
    assert caplog.messages == [
        "Others hold what is to be changed (canceling statement due to lock timeout); trying again."
    ]


@pytest.mark.parametrize("error", [met("57P01"), OperationalError("database is locked"), IntegrityError()])
def test_nothing_else_is_asked_again_at_once(error: Exception) -> None:
    with pytest.raises(type(error)):
        retry_while_busy(failing(1, error))


def test_who_is_in_a_transaction_does_not_queue_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Unbound, "in_atomic_block", True)
    with pytest.raises(OperationalError):
        retry_while_busy(failing(1, met("55P03")))


MOMENTS = 0, 1, 2, 5, 9, 14, 20, 27  # as many as are outlived one after the other


def test_an_update_cut_off_at_any_write_goes_on_where_it_was(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, count, cut = Journal.write, iter(range(1000)), []

    def cut_off(self: Journal, **values: Any) -> None:
        moment = next(count)
        if moment in MOMENTS:
            cut.append(moment)
            raise OperationalError("the connection is closed")
        write(self, **values)

    monkeypatch.setattr(Journal, "write", cut_off)
    publish(world)
    old = world.instance()
    done = service.run_to_end(begin(world).pk, world.outside)
    assert tuple(cut) == MOMENTS
    assert (done.status, in_order(world).image_id) == ("succeeded", NEW)
    assert set(steps(done).values()) == {"done"}
    assert len(steps(done)) == len(done.steps)
    assert world.engine.stops[previous_name(old.container_name)] == 1
    assert Operation.objects.count() == 1


def test_a_request_that_met_the_locks_of_others_is_begun_all_the_same(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.instance("c1")
    real, crowded = (
        service.begin_restart,
        failing(2, OperationalError("canceling statement due to lock timeout")),
    )

    def begin_restart(*request: Any, **options: Any) -> Operation:
        crowded()
        return real(*request, **options)

    monkeypatch.setattr(service, "begin_restart", begin_restart)
    done = restart.apply(kwargs={"customer_id": "c1"}, throw=True).get()
    assert done["status"] == "succeeded"
    assert world.clock.slept[:2] == [pytest.approx(0.2), pytest.approx(0.4)]
