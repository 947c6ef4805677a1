"""One keeper renews the leases of a process; rows and engine calls wait for nobody who lost his."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import Settings

from instances.containers.timings import LONGEST_STOP
from instances.engine.client import CHANGE_TIMEOUT
from instances.engine.port import Engine
from instances.errors import LeaseLost, PermanentError
from instances.limits import LONGEST_CALL, STEP_SECONDS
from instances.models import Operation, Plan
from instances.operations import service
from instances.operations.begin import open_operation
from instances.operations.fence import READS, fenced
from instances.operations.journal import Journal
from instances.operations.leases import KEEPER, Lease, LeaseKeeper, renew
from instances.operations.procedure import Work
from instances.operations.requester import Requester
from tests.factories import ASKED, World
from tests.fakes.outside import passes, starts
from tests.fakes.threads import no_thread_left
from tests.rows import row

pytestmark = pytest.mark.django_db
CHANGES = sorted(name for name in vars(Engine) if not name.startswith("_") and name not in READS)


def held(world: World, customer_id: str = "c1") -> Journal:
    operation = open_operation("restart", world.instance(customer_id), world.now, Requester("tests"))
    journal = Journal.claim(operation.pk, world.clock)
    assert journal
    return journal


def lease(journal: Journal) -> Lease:
    return Lease(journal.operation.pk, journal.operation.token, journal._clock)


def test_all_leases_of_a_process_are_renewed_with_one_statement(world: World) -> None:
    leases = [lease(held(world, f"c{number}")) for number in range(4)]
    world.clock.advance(10)
    with CaptureQueriesContext(
        connection,
    ) as asked:
        renew(leases, world.now)
    assert len(asked) == 1
    until = set(Operation.objects.values_list("lease_expires_at", flat=True))
    assert until == {world.now + timedelta(seconds=30)}


def test_a_lease_that_was_taken_over_is_lost_and_the_others_go_on(world: World) -> None:
    mine, lost = lease(held(world, "c1")), lease(held(world, "c2"))
    Operation.objects.filter(customer_id="c2").update(token=7)
    world.clock.advance(10)
    renew([mine, lost], world.now)
    assert (mine.lost.is_set(), lost.lost.is_set()) == (False, True)
    assert Operation.objects.get(customer_id="c1").lease_expires_at == world.now + timedelta(seconds=30)
    assert Operation.objects.get(customer_id="c2").lease_expires_at == world.now + timedelta(seconds=20)


def test_a_lease_whose_holder_hangs_runs_out_and_the_operation_is_taken_over(world: World) -> None:
    journal, other = held(world, "c1"), lease(held(world, "c2"))
    stuck = journal._lease
    journal.keep_until(world.now + timedelta(seconds=5))
    renew([stuck, other], world.now)
    for _ in range(4):
        world.clock.advance(10)
        renew([stuck, other], world.now)
    taken = Journal.claim(journal.operation.pk, world.clock)
    assert taken
    assert Journal.claim(other.operation_id, world.clock) is None
    with pytest.raises(LeaseLost):
        journal.confirm()


@pytest.mark.parametrize(
    ("stop_timeout", "longest"), [(10, LONGEST_CALL), (LONGEST_STOP, CHANGE_TIMEOUT + LONGEST_STOP)]
)
def test_a_step_has_an_end_after_which_nothing_holds_its_operation(
    world: World, stop_timeout: int, longest: float
) -> None:
    """A call that was begun at that end is waited for, however slowly the container may stop."""
    Plan.objects.update(stop_timeout=stop_timeout)
    world.instance()
    operation = service.begin_restart("c1", ASKED, world.outside)
    bounds = []
    begun = Journal.keep_until

    def noted(self: Journal, moment: datetime) -> None:
        bounds.append(moment - world.now)
        begun(self, moment)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Journal, "keep_until", noted)
        assert service.run_once(operation.pk, world.outside).status == "succeeded"
    assert len(bounds) >= 3
    assert all(bound >= timedelta(seconds=STEP_SECONDS + longest) for bound in bounds)
    assert CHANGE_TIMEOUT + stop_timeout <= longest


def test_an_operation_that_was_put_down_is_not_picked_up_by_the_keeper(world: World) -> None:
    journal = held(world)
    mine = lease(journal)
    journal.release(5)
    renew([mine], world.now)
    assert Operation.objects.get().lease_expires_at == world.now + timedelta(seconds=5)
    assert not mine.lost.is_set()


def test_no_change_is_asked_of_an_engine_by_who_lost_the_lease(world: World) -> None:
    journal = held(world)
    engine = fenced(world.engine, journal)
    world.clock.advance(31)
    assert Journal.claim(journal.operation.pk, world.clock)
    assert CHANGES
    for verb in CHANGES:
        with row(verb), pytest.raises(LeaseLost, match="taken over by another process"):
            getattr(engine, verb)("dockmgr-c1")


def test_a_change_begins_with_a_whole_lease_ahead(world: World) -> None:
    journal = held(world)
    world.clock.advance(29)
    fenced(world.engine, journal).stop("dockmgr-c1", 1)
    assert Operation.objects.get().lease_expires_at == world.now + timedelta(seconds=30)


def test_looks_at_an_engine_need_no_lease(world: World) -> None:
    journal = held(world)
    world.clock.advance(31)
    assert Journal.claim(journal.operation.pk, world.clock)
    assert fenced(world.engine, journal).inspect("dockmgr-c1")


def test_the_container_the_instance_names_is_not_removed_by_who_means_another(world: World) -> None:
    journal = held(world)
    instance = journal.operation.instance
    assert instance
    engine = fenced(world.engine, journal)
    with pytest.raises(PermanentError, match="is the container of c1 now; it is not removed"):
        engine.remove(instance.container_id)
    assert world.engine.inspect(instance.container_id)
    engine.remove_own(instance.container_id)
    assert world.engine.inspect(instance.container_id) is None


def test_rows_are_written_under_the_token(world: World) -> None:
    journal = held(world)
    world.clock.advance(31)
    new = Journal.claim(journal.operation.pk, world.clock)
    assert new
    with pytest.raises(LeaseLost), journal.holding():
        raise AssertionError("it was let in")
    with new.holding():
        new.close("succeeded")
    with pytest.raises(LeaseLost), new.holding():
        raise AssertionError("it was let in")


def test_what_is_written_while_the_operation_is_locked_locks_it_no_second_time(world: World) -> None:
    journal = held(world)
    instance = journal.operation.instance
    assert instance
    with CaptureQueriesContext(connection) as asked, journal.holding():
        Work(instance, fenced(world.engine, journal), journal, world.outside).save("port")
    assert [query["sql"].split()[0] for query in asked] == ["SAVEPOINT", "SELECT", "UPDATE", "RELEASE"]
    Operation.objects.update(token=7)
    with pytest.raises(LeaseLost), journal.holding():
        raise AssertionError("it was let in")


def test_the_lease_is_kept_from_the_first_step_to_the_last(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    happened: list[str] = []

    @contextmanager
    def keeping(_lease: Lease) -> Iterator[None]:
        happened.append("kept")
        yield
        happened.append("left")

    monkeypatch.setattr(KEEPER, "keeping", keeping)
    world.instance()
    world.clock.at(0, lambda: happened.append("waits"))
    assert world.restart().status == "succeeded"
    assert happened == ["kept", "waits", "left"]


@pytest.mark.django_db(transaction=True)
def test_taking_over_waits_for_rows_that_are_being_written(world: World) -> None:
    journal = held(world)
    world.clock.advance(31)
    order: list[str] = []

    def take_over() -> None:
        try:
            assert Journal.claim(journal.operation.pk, world.clock)
            order.append("taken over")
        finally:
            connection.close()

    other = threading.Thread(target=take_over)
    with journal.holding():
        other.start()
        other.join(0.05)
        order.append("written")
    other.join(20)
    assert order == ["written", "taken over"]


@pytest.mark.django_db(transaction=True)
def test_the_keepers_thread_ends_with_the_last_lease(world: World, settings: Settings) -> None:
    settings.LEASE_SECONDS = 0.3
    keeper = LeaseKeeper()
    first, second = (lease(held(world, name)) for name in ("c1", "c2"))
    with keeper.keeping(first), keeper.keeping(second):
        assert sum(thread.name == "leases" for thread in threading.enumerate()) == 1
    until = time.monotonic() + 5
    while any(thread.name == "leases" for thread in threading.enumerate()):
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.mark.django_db(transaction=True)
def test_leases_are_kept_again_once_a_thread_can_start(world: World) -> None:
    keeper, mine = LeaseKeeper(), lease(held(world))
    with no_thread_left():
        keeper.keeping(mine).__enter__()
    with keeper.keeping(mine):
        assert keeper._thread and keeper._thread.is_alive()


@pytest.mark.django_db(transaction=True)
def test_a_defect_met_once_does_not_end_the_keeping_of_leases(
    world: World, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.LEASE_SECONDS = 0.03
    met: list[int] = []
    renewed = threading.Event()

    def renew_at_second_try(_leases: object, _now: object) -> None:
        if not met:
            met.append(1)
            raise ValueError("of our own")
        renewed.set()

    monkeypatch.setattr("instances.operations.leases.renew", renew_at_second_try)
    with LeaseKeeper().keeping(lease(held(world))):
        assert renewed.wait(20)


def sessions() -> int:
    """Sessions at the database beside our own; where none can be counted, this thread's own counts."""
    if connection.vendor != "postgresql":
        return int(connection.connection is not None)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        return int(cursor.fetchone()[0])


@contextmanager
def carried_out(operations: list[Operation], world: World) -> Iterator[None]:
    def carry(operation: Operation) -> None:
        try:
            service.run_to_end(operation.pk, world.outside)
        finally:
            connection.close()

    threads = [threading.Thread(target=carry, args=(operation,)) for operation in operations]
    for thread in threads:
        thread.start()
    yield
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)


def wait_until(true: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not true():
        assert time.monotonic() < until
        time.sleep(0.005)


@pytest.mark.django_db(transaction=True)
def test_many_operations_in_gates_hold_one_session_at_most(world: World, settings: Settings) -> None:
    settings.LEASE_SECONDS = 0.15
    gates_open, held_in_gate = threading.Event(), []
    instances = [world.instance(f"c{number}") for number in range(3)]
    operations = [service.begin_restart(i.customer_id, ASKED, world.outside) for i in instances]
    waiting: set[int] = set()

    def answer() -> object:
        waiting.add(threading.get_ident())
        held_in_gate.append(connection.connection is not None)
        time.sleep(0.02)
        return passes() if gates_open.is_set() else starts()

    for instance in instances:
        world.probe.answers[instance.port or 0] = answer  # type: ignore[assignment]
    world.outside.clock.sleep = lambda seconds: time.sleep(0.02)  # type: ignore[method-assign]
    with carried_out(operations, world):
        wait_until(lambda: len(waiting) == len(instances))
        counted = []
        for _ in range(8):  # over more than one renewal
            time.sleep(0.01)
            counted.append(sessions())
        gates_open.set()
    assert not any(held_in_gate)
    assert max(counted) <= 1 + (connection.vendor != "postgresql")
    assert set(Operation.objects.values_list("status", flat=True)) == {"succeeded"}
