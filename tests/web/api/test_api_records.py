"""Over HTTP: operations, incidents, sweeps and test deployments."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from instances.access.asked import noted
from instances.errors import OutOfReachError, PermanentError
from instances.models import ApiRequest, AuditEntry, Incident, Operation, Sweep
from tasks.app import app
from tasks.broker import rpc
from tasks.policies import TRIAL
from tasks.trials import BEGUN, LOST
from tests.factories import World
from tests.fast.conftest import Message, Run
from tests.fast.updates import publish
from tests.web.callers import OVER_HTTP, Caller, Workers

pytestmark = OVER_HTTP
Sent = Callable[[str], list[Message]]


def an_operation(world: World, **values: Any) -> Operation:
    usual: dict[str, Any] = {
        "kind": "restart",
        "customer_id": f"c{uuid.uuid4().hex[:8]}",
        "status": "succeeded",
        "requested_by": "tests",
        "created_at": world.now,
        "finished_at": world.now,
        "lease_expires_at": world.now,
    }
    return Operation.objects.create(**{**usual, **values})


def an_incident(world: World, number: int, **values: Any) -> Incident:
    opened_at = world.now - timedelta(minutes=number)
    return world.incident(world.instance(f"c{number}"), **{"opened_at": opened_at, **values})


def all_pages(caller: Caller, path: str) -> list[list[Any]]:
    pages, cursor = [], ""
    while True:
        page = caller.get(f"{path}{cursor}").document
        pages.append([row["id"] for row in page["items"]])
        if page["next"] is None:
            return pages
        cursor = f"&cursor={page['next']}"


def test_operations_of_one_moment_are_paged_without_loss_or_repetition(world: World, caller: Caller) -> None:
    made = {str(an_operation(world).pk) for _ in range(5)}
    older = an_operation(world, created_at=world.now - timedelta(seconds=1))
    pages = all_pages(caller, "/operations?limit=2")
    assert [len(page) for page in pages] == [2, 2, 2]
    assert {row for page in pages for row in page} == {*made, str(older.pk)}
    assert pages[-1][-1] == str(older.pk)


def test_operations_are_filtered_by_customer_and_status(world: World, caller: Caller) -> None:
    failed = an_operation(world, customer_id="c1", status="failed", error="no")
    an_operation(world, customer_id="c1")
    an_operation(world, customer_id="c2", status="failed")
    [page] = all_pages(caller, "/operations?customer_id=c1&status=failed")
    assert page == [str(failed.pk)]


def test_an_operation_is_the_same_document_as_elsewhere(world: World, caller: Caller) -> None:
    world.instance("c1")
    operation = world.restart()
    shown = caller.get(f"/operations/{operation.pk}").document
    assert (shown["status"], "changed" in shown) == ("succeeded", False)
    assert [step["status"] for step in shown["steps"]] == ["done"] * len(shown["steps"])
    assert caller.get(f"/operations/{uuid.uuid4()}").kind == "unknown"


def test_an_operation_that_another_release_noted_in_another_form_costs_no_list(
    world: World, caller: Caller, run: Run
) -> None:
    step = {"name": "stop", "status": "done", "started_at": "2026-03-01T12:00:00Z", "finished_at": None}
    usual = an_operation(world, kind="update", steps=[{**step, "detail": "", "extra": 1}])
    odd: list[dict[str, Any]] = [{"steps": [step]}, {"steps": {"stop": step}}, {"facts": ["unchanged"]}]
    for columns in odd:
        an_operation(world, kind="update", status="failed", error="It failed.", **columns)
    seen = {row["id"]: row for row in caller.get("/operations").document["items"]}
    assert seen[str(usual.pk)]["steps"] == [{**step, "detail": ""}]
    assert [row["steps"] for row in seen.values() if row["id"] != str(usual.pk)] == [[]] * len(odd)
    assert len(run("operations", "--json").document) == len(odd) + 1


def test_incidents_are_paged_and_filtered(world: World, caller: Caller) -> None:
    open_ones = [an_incident(world, number).pk for number in (1, 2, 3)]
    over = an_incident(world, 4, resolved_at=world.now, resolution="healthy again").pk
    assert all_pages(caller, "/incidents?limit=3") == [open_ones, [over]]
    assert all_pages(caller, "/incidents?open=true") == [open_ones]
    assert all_pages(caller, "/incidents?open=false") == [[over]]
    assert all_pages(caller, "/incidents?customer_id=c2") == [[open_ones[1]]]


def test_acknowledging_names_the_token_and_keeps_the_first(world: World, caller: Caller) -> None:
    incident = an_incident(world, 1)
    answer = caller.post(f"/incidents/{incident.pk}/acknowledge")
    assert (answer.status, answer.document["acknowledged_by"]) == (200, "api:admin")
    assert "acknowledged" in [event["kind"] for event in answer.document["events"]]
    assert caller.post("/incidents/4711/acknowledge").kind == "unknown"


def test_an_incident_that_is_over_is_not_acknowledged(world: World, caller: Caller) -> None:
    incident = an_incident(world, 1, resolved_at=world.now)
    answer = caller.post(f"/incidents/{incident.pk}/acknowledge")
    assert (answer.status, answer.kind) == (409, "conflict")


def a_sweep(world: World, **values: Any) -> Sweep:
    times = {"started_at": world.now, "expires_at": world.now + timedelta(minutes=1)}
    return Sweep.objects.create(**{"total": 3, "done": 1, **times, **values})


def test_the_latest_sweep_is_shown(world: World, caller: Caller) -> None:
    assert caller.get("/sweeps/latest").kind == "unknown"
    a_sweep(world, state="finished", started_at=world.now - timedelta(hours=1))
    a_sweep(world)
    shown = caller.get("/sweeps/latest").document
    assert (shown["state"], shown["done"], shown["total"]) == ("running", 1, 3)


def test_a_sweep_is_asked_for_once_per_key(world: World, caller: Caller, sent: Sent) -> None:
    first, again = caller.post("/sweeps", key="k-1"), caller.post("/sweeps", key="k-1")
    assert (first.status, first.document) == (202, again.document)
    [message] = sent("health")
    assert (message.task, message.kwargs) == ("dockmgr.sweep", {"requested_by": "api:admin"})


def test_no_sweep_is_asked_for_while_one_is_running(world: World, caller: Caller, sent: Sent) -> None:
    a_sweep(world)
    answer = caller.post("/sweeps", key="k-1")
    assert (answer.status, answer.kind, sent("health")) == (409, "busy", [])
    Sweep.objects.update(state="finished")
    assert caller.post("/sweeps", key="k-1").status == 202


@pytest.fixture(autouse=True)
def published(world: World) -> None:
    """The plan's image is on the host and in the registry."""
    publish(world, "agent-1")


def test_a_test_deployment_is_started_once_and_its_result_read(
    world: World, caller: Caller, workers: Workers
) -> None:
    started = [caller.post("/test-deployments", {"plan": "pro"}, key="k-1") for _ in range(2)]
    [address] = {f"/test-deployments/{answer.document['id']}" for answer in started}
    assert (started[0].status, caller.get(address).document["status"]) == (202, "running")
    workers.work()
    done = caller.get(address).document
    assert (done["status"], done["result"]["success"], done["error"]) == ("succeeded", True, None)
    assert done["result"]["steps"][0]["name"] == "provision"
    assert [name for name, _ in workers.asked].count("dockmgr.test_deploy") == 1
    assert caller.post("/test-deployments", {"plan": "pro"}, key="k-1").document == done
    world.clock.advance(3 * 3600)
    assert caller.get(address).kind == "unknown"
    assert caller.post("/test-deployments", {"plan": "pro"}, key="k-1").kind == "unknown"
    assert [name for name, _ in workers.asked].count("dockmgr.test_deploy") == 1


def as_if_killed(sent: Sent, queue: str) -> None:
    """What is left of a call whose process was killed when it had noted the key, and not passed it on."""
    sent(queue)
    AuditEntry.objects.all().delete()


@pytest.mark.parametrize(
    ("path", "body", "queue"),
    [("/test-deployments", {"plan": "pro"}, "operations"), ("/sweeps", None, "health")],
)
def test_what_a_killed_process_did_not_pass_on_is_passed_on_once_at_the_next_try(
    world: World, caller: Caller, sent: Sent, workers: Workers, path: str, body: Any, queue: str
) -> None:
    first = caller.post(path, body, key="k-1")
    as_if_killed(sent, queue)
    for _ in range(3):
        world.clock.advance(5)
        assert caller.post(path, body, key="k-1").status == 202
    [message] = sent(queue)
    assert message.headers["id"] == first.document.get("id", message.headers["id"])


def test_a_sweep_that_was_made_is_not_made_again(world: World, caller: Caller, sent: Sent) -> None:
    caller.post("/sweeps", key="k-1")
    as_if_killed(sent, "health")
    world.clock.advance(5)
    a_sweep(world, state="finished")
    assert (caller.post("/sweeps", key="k-1").status, sent("health")) == (202, [])


def test_a_test_deployment_whose_message_comes_twice_is_made_once(
    world: World, caller: Caller, workers: Workers, sent: Sent
) -> None:
    caller.post("/test-deployments", {"plan": "pro"}, key="k-1")
    [message] = sent("operations")
    for _ in range(2):
        workers.do(message)
    assert Operation.objects.filter(kind="provision").count() == 1


def lost(address: str) -> None:
    app.backend.forget(address.removeprefix("/test-deployments/"))


def test_how_a_test_deployment_ended_is_told_though_the_broker_lost_it(
    world: World, caller: Caller, workers: Workers
) -> None:
    address = f"/test-deployments/{caller.post('/test-deployments', {'plan': 'pro'}).document['id']}"
    workers.work()
    lost(address)
    done = caller.get(address).document
    assert (done["status"], done["result"]["success"], done["error"]) == ("succeeded", True, None)
    world.engine.fail_next("create", PermanentError("There is no room."))
    address = f"/test-deployments/{caller.post('/test-deployments', {'plan': 'pro'}).document['id']}"
    workers.work()
    lost(address)
    done = caller.get(address).document
    assert (done["status"], done["error"]) == ("failed", "There is no room.")


def test_a_test_deployment_whose_worker_is_gone_is_not_running_for_ever(
    world: World, caller: Caller, workers: Workers
) -> None:
    address = f"/test-deployments/{caller.post('/test-deployments', {'plan': 'pro'}).document['id']}"
    workers.work()
    lost(address)
    begun = AuditEntry.objects.get(request_id__startswith="test-deployment:")
    AuditEntry.objects.filter(pk=begun.pk).update(outcome=noted(BEGUN, {}, 255))
    assert caller.get(address).document["status"] == "running"
    world.clock.advance(TRIAL.time_limit + 60)
    done = caller.get(address).document
    assert (done["status"], done["error"]) == ("failed", LOST)


def test_a_test_deployment_that_fails_says_why(world: World, caller: Caller, workers: Workers) -> None:
    world.engine.fail_next("create", PermanentError("There is no room."))
    address = f"/test-deployments/{caller.post('/test-deployments', {'plan': 'pro'}).document['id']}"
    workers.work()
    done = caller.get(address).document
    assert (done["status"], done["error"]) == ("failed", "There is no room.")


def test_a_test_deployment_that_is_refused_says_why(world: World, caller: Caller, workers: Workers) -> None:
    address = f"/test-deployments/{caller.post('/test-deployments', {'plan': 'pro'}).document['id']}"
    type(world.plan).objects.filter(name="pro").delete()
    workers.work()
    done = caller.get(address).document
    assert (done["status"], done["error"]) == (
        "failed",
        "There is no plan named pro; known are enterprise, free.",
    )


def test_a_test_deployment_nobody_could_be_told_of_was_never_asked_for(
    world: World, caller: Caller, sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_: object, **__: object) -> None:
        raise OutOfReachError("The broker can't be reached (DOCKMGR_BROKER_URL).")

    with monkeypatch.context() as broken:
        broken.setattr(rpc, "_send", lost)
        assert caller.post("/test-deployments", {"plan": "pro"}, key="k-1").status == 503
    assert not ApiRequest.objects.exists()
    assert caller.post("/test-deployments", {"plan": "pro"}, key="k-1").status == 202
    assert caller.post("/test-deployments", {"plan": "platinum"}).kind == "unknown"
