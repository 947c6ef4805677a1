"""Other services ask for changes by task name, knowing the broker and nothing of dockmgr."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery

from tests.real.fleet import Fleet, a_fleet

PATIENCE = 240  # seconds
OPERATION = {
    "id", "kind", "customer_id", "status", "steps", "error", "image_before", "image_after",
    "requested_by", "reason", "started_at", "finished_at",
}  # fmt: skip
CHECK = {
    "customer_id", "status", "healthy", "http_status", "latency_ms", "version", "container_state",
    "error", "consecutive_failures", "checked_at",
}  # fmt: skip


@pytest.fixture(scope="module")
def fleet(
    tmp_path_factory: pytest.TempPathFactory, docker_url: str, broker_url: str, demo_image: str
) -> Iterator[Fleet]:
    home = tmp_path_factory.mktemp("home")
    with a_fleet(home, docker_url, broker_url, demo_image) as fleet, fleet.worker():
        yield fleet


@pytest.fixture(scope="module")
def app(fleet: Fleet) -> Iterator[Celery]:
    with fleet.stranger() as app:
        yield app


def order(fleet: Fleet, name: str, **more: Any) -> dict[str, Any]:
    customer = fleet.customer(name)
    return {"customer_id": customer, "subdomain": f"{customer}.example.com", "plan": "pro", **more}


def provision(fleet: Fleet, app: Celery, name: str) -> str:
    """Provision a customer by task; returns its id."""
    result = app.send_task("dockmgr.provision", kwargs=order(fleet, name)).get(timeout=PATIENCE)
    assert result["success"], result
    return fleet.customer(name)


def failure(app: Celery, task: str, **kwargs: Any) -> tuple[str, str]:
    """The kind of error a task ends with, and its sentence, as any client can read them."""
    result = app.send_task(task, kwargs=kwargs)
    error = result.get(timeout=PATIENCE, propagate=False)
    assert result.status == "FAILURE", error
    return type(error).__name__, str(error)


def test_results_are_the_documents_of_the_contract(fleet: Fleet, app: Celery) -> None:
    born = app.send_task("dockmgr.provision", kwargs=order(fleet, "doc", env={"A": "b"})).get(
        timeout=PATIENCE
    )
    assert born["success"] and born["validation"]["valid"] and born["error"] is None
    assert set(born) == {
        "success", "customer_id", "access_url", "deploy_time_ms", "error", "logs", "validation"
    }  # fmt: skip
    one = {"customer_id": fleet.customer("doc")}
    asked = {**one, "requested_by": "billing", "reason": "upgrade"}
    restarted = app.send_task("dockmgr.restart", kwargs=asked).get(timeout=PATIENCE)
    assert set(restarted) >= OPERATION
    assert (restarted["status"], restarted["requested_by"], restarted["reason"]) == (
        "succeeded", "billing", "upgrade"
    )  # fmt: skip
    check = app.send_task("dockmgr.check_health", kwargs=one, queue="health").get(timeout=PATIENCE)
    assert set(check) >= CHECK and check["healthy"]
    log = app.send_task("dockmgr.logs", kwargs={**one, "lines": 3}).get(timeout=PATIENCE)
    assert len(log["lines"]) == 3 and log["customer_id"] == one["customer_id"]
    assert app.send_task("dockmgr.validate", kwargs=one).get(timeout=PATIENCE)["valid"]
    subdomain = {"subdomain": f"{one['customer_id']}.example.com"}
    assert app.send_task("dockmgr.validate_deployment", kwargs=subdomain).get(timeout=PATIENCE)["valid"]
    gone = app.send_task("dockmgr.decommission", kwargs={**one, "purge_data": True}).get(timeout=PATIENCE)
    assert gone["status"] == "succeeded"
    assert "doc" not in fleet.containers() and "doc-data" not in fleet.volumes()


def test_the_same_request_sent_many_times_is_done_once(fleet: Fleet, app: Celery) -> None:
    customer = provision(fleet, app, "again")
    asked = {"customer_id": customer, "request_id": f"{customer}-1"}
    sent = [app.send_task("dockmgr.restart", kwargs=asked) for _ in range(10)]
    ids = {result.get(timeout=PATIENCE)["id"] for result in sent}
    assert len(ids) == 1
    assert app.send_task("dockmgr.restart", kwargs=asked).get(timeout=PATIENCE)["id"] in ids
    assert fleet.boots("again") == 2


def test_the_same_order_sent_twice_at_once_makes_one_instance(fleet: Fleet, app: Celery) -> None:
    wanted = order(fleet, "twin", request_id=f"{fleet.prefix}-twin")
    sent = [app.send_task("dockmgr.provision", kwargs=wanted) for _ in range(3)]
    assert [result.get(timeout=PATIENCE)["success"] for result in sent] == [True] * 3
    assert fleet.boots("twin") == 1


def test_a_request_id_used_for_something_else_is_refused(fleet: Fleet, app: Celery) -> None:
    first, second = provision(fleet, app, "first"), provision(fleet, app, "second")
    used = {"request_id": f"{first}-used"}
    app.send_task("dockmgr.restart", kwargs={"customer_id": first, **used}).get(timeout=PATIENCE)
    for task, customer in (("dockmgr.restart", second), ("dockmgr.decommission", first)):
        assert failure(app, task, customer_id=customer, **used)[0] == "RequestError"
    assert (fleet.boots("first"), fleet.boots("second")) == (2, 1)


def test_a_refused_request_carries_its_sentence(fleet: Fleet, app: Celery) -> None:
    customer = fleet.customer("nobody")
    for task in ("dockmgr.restart", "dockmgr.decommission", "dockmgr.logs", "dockmgr.validate"):
        kind, sentence = failure(app, task, customer_id=customer)
        assert (kind, sentence) == ("RequestError", f"There is no instance of customer {customer}.")


@pytest.mark.parametrize(
    ("task", "wrong"),
    [
        ("dockmgr.logs", {"lines": "many"}),
        ("dockmgr.logs", {"since": 5}),
        ("dockmgr.logs", {"since": "9999999d"}),
        ("dockmgr.restart", {"requested_by": None}),
        ("dockmgr.restart", {"reason": ["why"]}),
        ("dockmgr.restart", {"customer_id": 7}),
        ("dockmgr.provision", {"subdomain": "wrong.example.com", "plan": "pro", "env": "A=b"}),
        ("dockmgr.provision", {"subdomain": "wrong.example.com", "plan": "pro", "env": {"A": 1}}),
    ],
)
def test_an_argument_of_a_wrong_type_is_refused(
    fleet: Fleet, app: Celery, task: str, wrong: dict[str, Any]
) -> None:
    if "typed" not in fleet.health():
        provision(fleet, app, "typed")
    boots = fleet.boots("typed")
    customer = fleet.customer("other" if task == "dockmgr.provision" else "typed")
    assert failure(app, task, **{"customer_id": customer, **wrong})[0] == "RequestError"
    assert fleet.boots("typed") == boots


def test_data_is_never_purged_for_a_word(fleet: Fleet, app: Celery) -> None:
    """In other languages a form's "false" easily stays a text."""
    customer = provision(fleet, app, "kept")
    kind, _ = failure(app, "dockmgr.decommission", customer_id=customer, purge_data="false")
    assert kind == "RequestError"
    assert "kept-data" in fleet.volumes()


def test_a_message_to_the_usual_queue_is_heard(fleet: Fleet, app: Celery) -> None:
    """A Celery application that was told nothing sends to the queue `celery`."""
    asked = {"customer_id": fleet.customer("nobody")}
    result = app.send_task("dockmgr.validate", kwargs=asked, queue="celery")
    assert "There is no instance" in str(result.get(timeout=PATIENCE, propagate=False))


def test_a_sweep_asked_for_by_name_answers_with_its_id(fleet: Fleet, app: Celery) -> None:
    asked = {"requested_by": "support", "reason": "after maintenance"}
    started = app.send_task("dockmgr.sweep", kwargs=asked, queue="health").get(timeout=PATIENCE)
    assert started["sweep_id"]


def test_a_message_of_another_installation_is_not_acted_on(fleet: Fleet, app: Celery) -> None:
    customer = provision(fleet, app, "ours")
    theirs = {"dockmgr_installation": "0123456789abcdef"}
    result = app.send_task("dockmgr.restart", kwargs={"customer_id": customer}, headers=theirs)
    assert "another dockmgr" in str(result.get(timeout=PATIENCE, propagate=False))
    assert fleet.boots("ours") == 1
