"""Over HTTP: a change is written down, handed to the workers, and made once however often it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, connection

from instances import lookup
from instances.errors import OutOfReachError
from instances.fleet.retention import purge
from instances.models import ApiRequest, Host, HostWatch, Instance, Operation, Plan
from tasks import operations as operation_tasks
from tests.factories import SECRET, World
from tests.fast.conftest import Message
from tests.web.callers import OVER_HTTP, Caller, Workers, a_caller

pytestmark = OVER_HTTP
Sent = Callable[[str], list[Message]]
NEW = {"customer_id": "new", "subdomain": "new.example.com", "plan": "pro", "env": {"API_KEY": SECRET}}
CHANGES: list[tuple[str, str, Any, str]] = [
    ("POST", "/instances", NEW, "provision"),
    ("DELETE", "/instances/c1?purge_data=true&reason=ended", None, "decommission"),
    ("POST", "/instances/c1/restart", {"reason": "slow"}, "restart"),
    ("POST", "/instances/c1/restart", None, "restart"),
    ("POST", "/instances/c1/update", {"image": "registry.example.com/agent:2"}, "update"),
    ("POST", "/instances/c1/update", None, "update"),
]


@pytest.mark.parametrize(("method", "path", "body", "kind"), CHANGES)
def test_a_change_is_written_down_and_handed_on_by_its_id_alone(
    world: World, caller: Caller, sent: Sent, method: str, path: str, body: Any, kind: str
) -> None:
    world.instance("c1")
    answer = caller.ask(method, path, body)
    operation = Operation.objects.get()
    [message] = sent("operations")
    assert (answer.status, answer.document["id"], answer.document["kind"]) == (202, str(operation.pk), kind)
    assert (answer.document["status"], answer.document["requested_by"]) == ("queued", "api:admin")
    assert (message.task, message.kwargs) == ("dockmgr.carry_on", {"operation_id": str(operation.pk)})
    assert SECRET not in message.everything + answer.text
    assert (world.engine.starts, world.engine.stops) == ({}, {})


def test_reason_and_image_and_purging_are_passed_on(world: World, caller: Caller, sent: Sent) -> None:
    for name in ("c1", "c2"):
        world.instance(name)
    caller.delete("/instances/c1?purge_data=true&reason=ended")
    caller.post("/instances/c2/update", {"image": "registry.example.com/agent:2", "reason": "new"})
    gone, updated = Operation.objects.order_by("created_at", "kind")
    assert (gone.reason, gone.params["purge_data"]) == ("ended", True)
    assert (updated.reason, updated.params["image"]) == ("new", "registry.example.com/agent:2")


def test_an_ordered_instance_comes_up_with_its_secrets_encrypted(
    world: World, caller: Caller, workers: Workers
) -> None:
    answer = caller.post("/instances", NEW)
    workers.work()
    done = caller.get(f"/operations/{answer.document['id']}").document
    assert (done["status"], done["error"]) == ("succeeded", None)
    assert Instance.objects.get(customer_id="new").env == {"API_KEY": SECRET}
    with connection.cursor() as cursor:
        cursor.execute("SELECT env FROM instances_instance")
        assert SECRET not in str(cursor.fetchall())
        cursor.execute("SELECT * FROM instances_apirequest")
        assert SECRET not in str(cursor.fetchall())


def test_the_web_process_asks_no_engine_where_to_put_an_instance(
    world: World, caller: Caller, sent: Sent
) -> None:
    far = Host.objects.create(name="far", docker_url="unix:///fake/far.sock")
    HostWatch.objects.create(host=far, failures=2)
    world.instance("c1")
    world.engine.unreachable = True
    assert caller.post("/instances", NEW).status == 202
    assert Instance.objects.get(customer_id="new").host.name == "local"


def test_no_host_that_answers_is_503(world: World, caller: Caller, sent: Sent) -> None:
    HostWatch.objects.create(host=world.host, failures=1)
    answer = caller.post("/instances", NEW)
    assert (answer.status, answer.kind) == (503, "out-of-reach")
    assert not Instance.objects.exists()


IMPOSSIBLE: list[tuple[dict[str, Any], int, str]] = [
    ({"plan": "platinum"}, 404, "There is no plan named platinum; known are enterprise, free, pro."),
    ({"host": "mars"}, 404, "There is no host named mars; known are local."),
    ({"customer_id": "c1"}, 409, "Customer c1 has an instance already."),
    ({"subdomain": "c1.example.com"}, 409, "The subdomain c1.example.com is taken."),
    ({"env": {}}, 409, "Plan pro requires API_KEY in the environment."),
]


@pytest.mark.parametrize(("changes", "status", "sentence"), IMPOSSIBLE)
def test_an_order_that_does_not_fit_is_refused_in_one_sentence(
    world: World, caller: Caller, sent: Sent, changes: dict[str, Any], status: int, sentence: str
) -> None:
    Plan.objects.update(required_env=["API_KEY"])
    world.instance("c1")
    answer = caller.post("/instances", NEW | changes)
    assert (answer.status, answer.document["detail"]) == (status, sentence)
    assert answer.kind == {404: "unknown", 409: "conflict"}[status]
    assert (Instance.objects.count(), sent("operations")) == (1, [])


def test_a_second_change_meets_a_busy_instance(world: World, caller: Caller, sent: Sent) -> None:
    world.instance("c1")
    assert caller.post("/instances/c1/restart").status == 202
    answer = caller.post("/instances/c1/update")
    assert (answer.status, answer.kind) == (409, "busy")
    assert "restart asked for by api:admin" in answer.document["detail"]
    assert Operation.objects.count() == 1


@pytest.mark.parametrize(
    ("method", "path"),
    [("DELETE", "/instances/gone"), ("POST", "/instances/gone/restart"), ("POST", "/instances/gone/update")],
)
def test_changing_an_unknown_instance_is_404(world: World, caller: Caller, method: str, path: str) -> None:
    answer = caller.ask(method, path)
    assert (answer.status, answer.kind) == (404, "unknown")


def test_the_same_key_does_it_once(world: World, caller: Caller, sent: Sent) -> None:
    world.instance("c1")
    answers = [caller.post("/instances/c1/restart", {"reason": "slow"}, key="k-1") for _ in range(3)]
    assert {answer.status for answer in answers} == {202}
    assert len({answer.document["id"] for answer in answers}) == 1
    assert (Operation.objects.count(), len(sent("operations"))) == (1, 1)


def test_the_same_key_tells_how_it_ended_when_the_instance_is_gone(
    world: World, caller: Caller, workers: Workers
) -> None:
    world.instance("c1")
    caller.delete("/instances/c1", key="k-1")
    workers.work()
    again = caller.delete("/instances/c1", key="k-1")
    assert (again.status, again.document["status"]) == (202, "succeeded")
    assert caller.delete("/instances/c1", key="k-2").status == 404


def test_a_key_is_known_as_long_as_its_operation(
    world: World, caller: Caller, workers: Workers, settings: Any
) -> None:
    world.instance("c1")
    image = "registry.example.com/agent"

    def update(tag: str) -> Any:
        return caller.post("/instances/c1/update", {"image": f"{image}:{tag}"}, key="k-1")

    first = update("2")
    workers.work()
    world.clock.advance((settings.RECORD_DAYS - 1) * 86400)
    purge(world.now)
    assert (update("3").kind, update("2").document["id"]) == ("key-reused", first.document["id"])
    world.clock.advance(3 * 86400)
    purge(world.now)
    assert update("3").document["id"] != first.document["id"]


OTHERS: list[tuple[str, str, Any]] = [
    ("POST", "/instances/c1/restart", {"reason": "other"}),
    ("POST", "/instances/c2/restart", {"reason": "slow"}),
    ("POST", "/instances/c1/update", {"reason": "slow"}),
    ("DELETE", "/instances/c1", None),
    ("POST", "/test-deployments", {"plan": "pro"}),
    ("POST", "/sweeps", None),
]


@pytest.mark.parametrize(("method", "path", "body"), OTHERS)
def test_a_key_with_another_request_is_refused(
    world: World, caller: Caller, sent: Sent, method: str, path: str, body: Any
) -> None:
    world.instance("c1")
    world.instance("c2")
    caller.post("/instances/c1/restart", {"reason": "slow"}, key="k-1")
    answer = caller.ask(method, path, body, key="k-1")
    assert (answer.status, answer.kind) == (409, "key-reused")
    assert (Operation.objects.count(), len(sent("operations"))) == (1, 1)


def test_only_the_secret_being_different_makes_it_another_request(
    world: World, caller: Caller, sent: Sent
) -> None:
    caller.post("/instances", NEW, key="k-1")
    answer = caller.post("/instances", NEW | {"env": {"API_KEY": "another-s3cret"}}, key="k-1")
    assert (answer.status, answer.kind) == (409, "key-reused")
    assert "s3cret" not in answer.text + str(list(ApiRequest.objects.values()))


@pytest.mark.parametrize(("given_up", "status", "operations"), [(1, 202, 1), (9, 409, 0)])
def test_a_key_that_another_request_has_just_given_up_is_free(
    world: World,
    caller: Caller,
    sent: Sent,
    monkeypatch: pytest.MonkeyPatch,
    given_up: int,
    status: int,
    operations: int,
) -> None:
    world.instance("c1")
    save, held = ApiRequest.save, [IntegrityError("request_once_per_key")] * given_up

    def inserted(row: ApiRequest, **options: Any) -> None:
        if held:
            raise held.pop()
        save(row, **options)

    monkeypatch.setattr(ApiRequest, "save", inserted)
    assert caller.post("/instances/c1/restart", key="k-1").status == status
    assert Operation.objects.count() == operations


def test_what_becomes_of_former_data_is_one_of_two(world: World, caller: Caller) -> None:
    answer = caller.post("/instances", NEW | {"keep_data": True, "fresh": True})
    assert (answer.status, answer.kind) == (422, "malformed")
    assert answer.document["detail"].endswith(
        "Former data can be kept, or the customer begins fresh: not both."
    )


def test_an_empty_key_is_malformed(world: World, caller: Caller, sent: Sent) -> None:
    answer = caller.post("/instances/c1/restart", key="")
    assert (answer.status, answer.kind, sent("operations")) == (422, "malformed", [])


def test_two_services_may_use_the_same_key(world: World, caller: Caller, sent: Sent) -> None:
    world.instance("c1")
    world.instance("c2")
    other = a_caller(world, name="other")
    assert caller.post("/instances/c1/restart", key="k-1").status == 202
    assert other.post("/instances/c2/restart", key="k-1").status == 202
    assert set(Operation.objects.values_list("requested_by", flat=True)) == {"api:admin", "api:other"}


def test_without_a_broker_nothing_is_begun_and_the_key_can_be_used_again(
    world: World, caller: Caller, sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(_operation: Operation) -> None:
        raise OutOfReachError("The broker can't be reached (DOCKMGR_BROKER_URL).")

    world.instance("c1")
    with monkeypatch.context() as broken:
        broken.setattr(operation_tasks, "enqueue", lost)
        answer = caller.post("/instances/c1/restart", key="k-1")
    assert (answer.status, answer.kind, answer.headers["Retry-After"]) == (503, "out-of-reach", "10")
    assert Operation.objects.get().status == "failed"
    again = caller.post("/instances/c1/restart", key="k-1")
    assert (again.status, again.document["status"]) == (202, "queued")
    assert lookup.instance("c1").health.status == "restarting"


REFUSED: list[tuple[str, Any, int]] = [
    ("/instances", NEW | {"plan": "por"}, 404),
    ("/instances", NEW | {"subdomain": "c1.example.com"}, 409),
    ("/instances/c2/restart", None, 404),
    ("/instances/c1/restart", None, 409),
]


@pytest.mark.parametrize(("path", "body", "status"), REFUSED)
def test_a_request_that_is_refused_leaves_its_key_free(
    world: World, caller: Caller, sent: Sent, path: str, body: Any, status: int
) -> None:
    world.instance("c1")
    caller.post("/instances/c1/update")
    assert caller.post(path, body, key="k-1").status == status
    assert caller.post("/instances", NEW, key="k-1").status == 202
    assert caller.post("/instances", NEW | {"reason": "other"}, key="k-1").kind == "key-reused"


def test_a_key_is_forgotten_with_the_measurements(world: World, caller: Caller, sent: Sent) -> None:
    caller.post("/sweeps", key="k-1")
    world.clock.advance(30 * 86400)
    caller.post("/sweeps", key="k-2")
    world.clock.advance(1)
    assert purge(world.now)["requests"] == 1
    assert ApiRequest.objects.get().key == "k-2"
