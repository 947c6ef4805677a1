"""A broker that is gone or silent: whoever is waited for learns it at once."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from instances.errors import OutOfReachError
from instances.models import Operation
from instances.operations import service
from instances.operations.journal import Journal
from instances.operations.requester import Requester
from tasks.app import app
from tasks.broker import connection as broker_connection
from tasks.broker import rpc
from tasks.checks import enqueue_checks, enqueue_sweep
from tasks.operations import enqueue_or_withdraw, validate
from tests.factories import World
from tests.hostile_server import HostileServer, raw, raw_then_silence

NOWHERE = "redis+socket:///nowhere/redis.sock"


@pytest.fixture(params=["gone", "silent", "no Redis"])
def broken(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A broker nobody can use; publishing itself would be patient for half a minute."""
    monkeypatch.setattr(broker_connection, "ANSWER_SECONDS", 0.05)
    behaviours = {"silent": raw_then_silence(b""), "no Redis": raw(b"HTTP/1.1 400 Bad Request\r\n\r\n")}
    if request.param == "gone":
        monkeypatch.setitem(app.conf, "broker_url", NOWHERE)
        yield
        return
    with HostileServer(behaviours[request.param]) as server:
        monkeypatch.setitem(app.conf, "broker_url", f"redis://127.0.0.1:{server.port}/0")
        yield


@pytest.mark.usefixtures("broken")
def test_who_asks_workers_is_told_in_one_sentence() -> None:
    for call in (
        lambda: rpc.call(validate, 30, customer_id="c1"),
        lambda: rpc.submit(validate, uuid.uuid4(), customer_id="c1"),
        lambda: rpc.task_result(uuid.uuid4()),
        lambda: enqueue_sweep(by="x"),
        lambda: enqueue_checks(["c1"]),
    ):
        with pytest.raises(
            OutOfReachError, match=r"^The broker can't be reached[^()]*\(DOCKMGR_BROKER_URL\)\.$"
        ):
            call()


@pytest.mark.usefixtures("broken")
def test_a_thread_of_a_web_server_is_told_as_well() -> None:
    with ThreadPoolExecutor(1) as pool, pytest.raises(OutOfReachError):
        pool.submit(broker_connection.require_broker).result()


@pytest.mark.usefixtures("broken")
@pytest.mark.parametrize("broken", ["gone"], indirect=True)
def test_an_operation_that_can_t_be_handed_over_is_taken_back(world: World) -> None:
    world.instance("c1")
    operation = service.begin_restart("c1", Requester("x"))
    with pytest.raises(OutOfReachError):
        enqueue_or_withdraw(operation)
    assert not Operation.objects.filter(finished_at=None).exists()


@pytest.mark.usefixtures("broken")
@pytest.mark.parametrize("broken", ["gone"], indirect=True)
@pytest.mark.parametrize("how_far", ["handed over", "begun", "put down", "over"])
def test_an_operation_that_is_known_already_is_not_taken_back(world: World, how_far: str) -> None:
    world.instance("c1")
    asked = Requester("x", request_id="once")
    operation = service.begin_restart("c1", asked, world.outside)
    if how_far == "handed over":
        Operation.objects.update(handed_over_at=world.now)
    elif how_far == "over":
        service.run_to_end(operation.pk, world.outside)
    else:
        journal = Journal.claim(operation.pk, world.clock)
        assert journal
        if how_far == "put down":
            journal.begin("stop")
            journal.release(30.0)
    for _ in range(2):
        again = service.begin_restart("c1", asked, world.outside)
        assert enqueue_or_withdraw(again).pk == operation.pk
    operation.refresh_from_db()
    assert (operation.request_id, operation.undoing, operation.error) == ("once", False, "")
