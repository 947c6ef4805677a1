"""The operation row is journal and lock: one at a time, one holder, and the loser stops."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import Settings

from instances.db.clock import SYSTEM
from instances.errors import BusyError, LeaseLost
from instances.models import Instance, Operation
from instances.operations import service
from instances.operations.begin import open_operation
from instances.operations.journal import Journal, abandoned
from instances.operations.requester import Requester
from tests.factories import ASKED, World, health_of
from tests.fakes.outside import FakeClock

pytestmark = pytest.mark.django_db


def held(world: World, instance: Instance) -> Journal:
    operation = open_operation("restart", instance, world.now, Requester("tests"))
    journal = Journal.claim(operation.pk, world.clock)
    assert journal
    return journal


def row() -> Operation:
    return Operation.objects.get()


def test_a_claimed_operation_runs_and_has_a_lease(world: World) -> None:
    held(world, world.instance())
    assert (row().status, row().token, row().started_at) == ("running", 1, world.now)
    assert row().lease_expires_at == world.now + timedelta(seconds=30)


def test_a_held_operation_cannot_be_claimed(world: World) -> None:
    journal = held(world, world.instance())
    assert Journal.claim(journal.operation.pk, world.clock) is None
    world.clock.advance(30)
    assert Journal.claim(journal.operation.pk, world.clock) is None


@pytest.mark.parametrize("seconds", [900, 1000, 3600])
def test_a_long_lease_holds_as_a_short_one_does(world: World, settings: Settings, seconds: int) -> None:
    settings.LEASE_SECONDS = seconds
    journal = held(world, world.instance())
    assert Journal.claim(journal.operation.pk, world.clock) is None
    assert abandoned(world.now) == []
    world.clock.advance(seconds + 1)
    assert Journal.claim(journal.operation.pk, world.clock)


def test_a_lease_that_ran_out_is_taken_over_and_shuts_the_old_holder_out(world: World) -> None:
    instance = world.instance()
    old = held(world, instance)
    old.begin("stop")
    world.clock.advance(31)
    new = Journal.claim(old.operation.pk, world.clock)
    assert new
    forbidden: list[Callable[[], object]] = [
        lambda: old.begin("start"),
        lambda: old.end("stop"),
        lambda: old.remember(note="mine"),
        lambda: old.release(1),
        lambda: old.close("succeeded"),
        lambda: old.write(error="mine"),
    ]
    for write in forbidden:
        with pytest.raises(LeaseLost, match="taken over by another process"):
            write()
    assert (row().status, row().token, row().facts, row().error) == ("running", 2, {}, "")
    assert [(step["name"], step["status"]) for step in row().steps] == [("stop", "running")]
    new.end("stop")


def test_one_statement_says_that_a_step_ended_and_which_one_begins(world: World) -> None:
    world.instance()
    operation = service.begin_restart("c1", ASKED, world.outside)
    with CaptureQueriesContext(connection) as asked:
        done = service.run_to_end(operation.pk, world.outside)
    assert [step["status"] for step in done.steps] == ["done"] * 4
    assert sum('"steps" = ' in query["sql"] for query in asked) == 5


def test_the_step_that_begins_says_whether_it_cuts_the_customer_off(world: World) -> None:
    journal = held(world, world.instance())
    journal.begin("watch")
    journal.end("watch", "still well", begins="stop", interrupts=True)
    assert [(s["name"], s["status"], s["detail"]) for s in row().steps] == [
        ("watch", "done", "still well"),
        ("stop", "running", ""),
    ]
    assert row().interrupts
    journal.end("stop", begins="look", interrupts=False)
    assert not row().interrupts


def test_the_old_holder_touches_no_container_after_the_takeover(world: World) -> None:
    instance = world.instance()
    operation = service.begin_restart("c1", ASKED, world.outside)
    stop = world.engine.stop

    def slow_stop(container: str, timeout: int) -> None:
        stop(container, timeout)
        world.clock.advance(40)
        assert Journal.claim(operation.pk, world.clock)

    world.engine.stop = slow_stop  # type: ignore[method-assign]
    with pytest.raises(LeaseLost):
        service.run_to_end(operation.pk, world.outside)
    assert (world.engine.starts, row().status, row().token) == ({}, "running", 2)
    assert health_of(instance).status == "restarting"


def test_an_operation_whose_instance_is_gone_ends(world: World) -> None:
    world.instance()
    operation = service.begin_restart("c1", ASKED, world.outside)
    Instance.objects.all().delete()
    done = service.run_or_wait(operation.pk, world.outside)
    assert (done.status, done.error) == ("failed", "Its instance is gone.")


def test_what_a_newer_release_can_do_is_left_to_its_workers(world: World) -> None:
    operation = open_operation("restart", world.instance(), world.now, Requester("tests"))
    Operation.objects.update(kind="future")
    before = row()
    with pytest.raises(KeyError):
        service.run_once(operation.pk, world.outside)
    assert (row().token, row().lease_expires_at) == (before.token, before.lease_expires_at)


def test_a_released_operation_can_be_taken_up(world: World) -> None:
    journal = held(world, world.instance())
    journal.release(5)
    assert abandoned(world.now) == []
    world.clock.advance(6)
    assert [operation.pk for operation in abandoned(world.now)] == [journal.operation.pk]
    assert Journal.claim(journal.operation.pk, world.clock)


def test_a_queued_operation_is_abandoned_after_a_minute_without_its_message(world: World) -> None:
    open_operation("restart", world.instance(), world.now, Requester("tests"))
    world.clock.advance(59)
    assert abandoned(world.now) == []
    world.clock.advance(2)
    assert len(abandoned(world.now)) == 1


def test_a_closed_operation_is_over_for_everybody(world: World) -> None:
    journal = held(world, world.instance())
    journal.close("failed", "no luck")
    world.clock.advance(100)
    assert Journal.claim(journal.operation.pk, world.clock) is None
    assert abandoned(world.now) == []
    with pytest.raises(LeaseLost):
        journal.begin("start")
    assert (row().status, row().error, row().lease_owner) == ("failed", "no luck", "")


def test_a_customer_has_one_unfinished_operation(world: World) -> None:
    instance = world.instance()
    open_operation("restart", instance, world.now, Requester("ann"))
    with pytest.raises(BusyError) as refused:
        open_operation("decommission", instance, world.now, Requester("bob"))
    assert str(refused.value) == (
        "c1 is being changed: restart asked for by ann since 12:00:00 UTC is queued."
    )
    assert Operation.objects.count() == 1


def test_other_customers_do_not_wait(world: World) -> None:
    for customer in ("c1", "c2"):
        open_operation("restart", world.instance(customer), world.now, Requester("ann"))
    assert Operation.objects.filter(finished_at=None).count() == 2


def test_the_same_request_joins_the_operation_it_made(world: World) -> None:
    world.instance()
    asked = Requester("ann", "once", "request-1")
    first = service.begin_restart("c1", asked, world.outside)
    assert service.begin_restart("c1", asked, world.outside).pk == first.pk
    service.run_to_end(first.pk, world.outside)
    again = service.run_to_end(service.begin_restart("c1", asked, world.outside).pk, world.outside)
    assert (again.pk, again.status) == (first.pk, "succeeded")
    assert world.engine.starts == {"dockmgr-c1": 1}


def test_who_and_why_are_cut_to_their_columns(world: World) -> None:
    operation = open_operation("restart", world.instance(), world.now, Requester("x" * 500, "y" * 500))
    operation.refresh_from_db()
    assert (len(operation.requested_by), len(operation.reason)) == (64, 255)


@pytest.mark.django_db(transaction=True)
def test_one_of_many_processes_gets_an_abandoned_operation(world: World) -> None:
    operation = open_operation("restart", world.instance(), world.now, Requester("tests"))
    together = threading.Barrier(4)
    won: list[Journal] = []

    def work() -> None:
        together.wait(60)
        try:
            journal = Journal.claim(operation.pk, world.clock)
            won.extend([journal] if journal else [])
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert (len(won), row().token) == (1, 1)


@pytest.mark.django_db(transaction=True)
def test_the_heartbeat_keeps_the_lease_ahead_of_a_long_step(world: World, settings: Settings) -> None:
    settings.LEASE_SECONDS = 0.09
    ends, until = {SYSTEM.now()}, time.monotonic() + 60
    operation = open_operation("restart", world.instance(), SYSTEM.now(), Requester("tests"))
    journal = Journal.claim(operation.pk, SYSTEM)
    assert journal
    with journal.heartbeat():
        while len(ends) < 3:
            assert time.monotonic() < until
            ends.add(row().lease_expires_at)
            time.sleep(0.005)
        assert Journal.claim(operation.pk, FakeClock(sorted(ends)[-2])) is None
    journal.close("succeeded")


@pytest.mark.django_db(transaction=True)
def test_the_heartbeat_notices_a_takeover(world: World, settings: Settings) -> None:
    settings.LEASE_SECONDS = 0.15
    operation = open_operation("restart", world.instance(), SYSTEM.now(), Requester("tests"))
    journal = Journal.claim(operation.pk, SYSTEM)
    assert journal
    Operation.objects.update(token=7)
    with journal.heartbeat(), pytest.raises(LeaseLost):
        until = time.monotonic() + 60
        while time.monotonic() < until:
            journal.check()
            time.sleep(0.01)
