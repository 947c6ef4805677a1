"""The tasks other services send, and the clockwork that feeds the workers."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from celery.exceptions import Retry
from pytest_django.fixtures import Settings

from instances.checks import sweeps
from instances.checks.record import record
from instances.errors import BusyError, RequestError, TransientError
from instances.models import AuditEntry, HealthCheck, Instance, Operation, Sweep
from instances.operations import service
from tasks import checks as health
from tasks import maintenance, operations
from tasks.app import app
from tests.factories import ASKED, SECRET, World, a_check, health_of
from tests.fakes.outside import fails
from tests.fast.conftest import Message
from tests.rows import row

pytestmark = pytest.mark.django_db
Sent = Callable[[str], list[Message]]
WHO = ["requested_by", "reason", "request_id"]
NEW = {"customer_id": "new", "subdomain": "new.example.com", "plan": "pro"}
CONTRACT = {
    "dockmgr.sweep": [],
    "dockmgr.check_health": ["customer_id"],
    "dockmgr.restart": ["customer_id", *WHO],
    "dockmgr.logs": ["customer_id", "lines", "since"],
    "dockmgr.validate": ["customer_id"],
    "dockmgr.validate_deployment": ["subdomain"],
    "dockmgr.provision": ["customer_id", "subdomain", "plan", "env", "host", "image", *WHO],
    "dockmgr.decommission": ["customer_id", "purge_data", *WHO],
}


@cache  # each time Celery would check all models anew
def load_tasks() -> None:
    """Have the app know its tasks, as a worker does when it starts."""
    app.loader.import_default_modules()


def registered(name: str) -> Any:
    load_tasks()
    return app.tasks[name]


@pytest.mark.parametrize("name", CONTRACT)
def test_a_public_task_takes_what_the_contract_says(name: str) -> None:
    parameters = inspect.signature(registered(name).run).parameters
    assert [n for n in CONTRACT[name] if n not in parameters] == []
    required = [n for n, p in parameters.items() if p.default is inspect.Parameter.empty]
    assert required == [n for n in CONTRACT[name] if n in ("customer_id", "subdomain", "plan")]


@pytest.mark.parametrize(
    ("name", "queue", "late"),
    [
        ("dockmgr.sweep", "health", False),
        ("dockmgr.follow_up", "health", False),
        ("dockmgr.check_health", "health", False),
        ("dockmgr.recover", "health", False),
        ("dockmgr.heal", "operations", False),
        ("dockmgr.logs", "operations", False),
        ("dockmgr.restart", "operations", True),
        ("dockmgr.provision", "operations", True),
        ("dockmgr.decommission", "operations", True),
        ("dockmgr.carry_on", "operations", True),
    ],
)
def test_a_task_goes_to_its_queue_and_is_acknowledged_as_its_policy_says(
    name: str, queue: str, late: bool
) -> None:
    task = registered(name)
    routed = app.amqp.router.route(task._get_exec_options(), name, (), {})
    assert getattr(routed["queue"], "name", routed["queue"]) == queue
    assert bool(task.acks_late) is late
    assert not task.reject_on_worker_lost
    assert task.time_limit
    assert task.soft_time_limit == task.time_limit - 5


@pytest.mark.parametrize("name", ["dockmgr.sweep", "dockmgr.follow_up", "dockmgr.recover", "dockmgr.heal"])
def test_clockwork_expires_before_it_would_pile_up(name: str) -> None:
    assert 0 < registered(name).expires <= 60


def test_the_sweep_publishes_a_message_per_active_instance(world: World, sent: Sent) -> None:
    for number in range(3):
        world.instance(f"c{number}")
    service.pause("c2")
    answer = health.sweep()
    messages = sent("health")
    assert [m.task for m in messages] == ["dockmgr.check_health"] * 2
    assert {m.kwargs["customer_id"] for m in messages} == {"c0", "c1"}
    assert {m.kwargs["request"]["sweep_id"] for m in messages} == {answer["sweep_id"]}
    assert (answer["total"], Sweep.objects.get().total) == (2, 2)


def test_messages_of_the_sweep_expire_and_hold_no_secret(world: World, sent: Sent) -> None:
    world.instance()
    health.sweep()
    [message] = sent("health")
    assert message.headers["expires"]
    assert (message.headers["argsrepr"], message.headers["kwargsrepr"]) == ("", "")
    assert SECRET not in message.everything
    assert "env" not in message.kwargs["request"]


def test_a_sweep_beside_another_publishes_nothing(world: World, sent: Sent) -> None:
    world.instance()
    sweeps.start(world.now, 900)
    answer = health.sweep(requested_by="api")
    assert answer == {
        "sweep_id": None,
        "refused": "A sweep is already running: 0 of 0 instances checked since 12:00:00 UTC.",
    }
    assert sent("health") == []


def test_a_sweep_of_nothing_is_finished_at_once(world: World, sent: Sent, settings: Settings) -> None:
    assert health.sweep()["total"] == 0
    assert Sweep.objects.get().state == "finished"
    assert json.loads(Path(settings.STATE_FILE).read_text())["lastHealthCheck"] == int(world.now.timestamp())


def test_the_follow_up_publishes_what_is_due_once(world: World, sent: Sent) -> None:
    world.instance("due", status="suspect", next_check_at=world.now)
    world.instance("later", status="suspect", next_check_at=world.now + timedelta(minutes=5))
    health.follow_up()
    health.follow_up()
    assert [m.kwargs["customer_id"] for m in sent("health")] == ["due"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("committer")
def test_a_check_of_the_sweep_is_recorded_and_counted(world: World, sent: Sent) -> None:
    instance = world.instance()
    health.sweep()
    [message] = sent("health")
    assert health.check_health(**message.kwargs) is None
    assert (HealthCheck.objects.get().instance_id, Sweep.objects.get().state) == (instance.pk, "finished")
    assert sent("operations") == []


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("committer")
def test_a_check_of_its_own_returns_what_the_command_prints(world: World, sent: Sent) -> None:
    world.instance(version="3.1")
    document = health.check_health("c1")
    assert document
    assert (document["customer_id"], document["status"], document["healthy"]) == ("c1", "healthy", True)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("committer")
def test_a_restart_is_ordered_exactly_when_the_verdict_asks(world: World, sent: Sent) -> None:
    instance = world.instance()
    world.probe.answers[instance.port or 0] = fails()
    ordered = []
    for _ in range(3):
        health.check_health("c1")
        world.clock.advance(30)
        ordered.append(sent("operations"))
    assert ordered[:2] == [[], []]
    [order] = ordered[2]
    assert (order.task, order.kwargs) == ("dockmgr.heal", {"instance_id": instance.pk})
    assert order.headers["ignore_result"] is True
    assert order.headers["expires"]
    assert (health_of(instance).status, Operation.objects.count()) == ("unhealthy", 0)


def test_healing_takes_the_instance_and_hands_on_its_id_alone(world: World, sent: Sent) -> None:
    instance = world.instance(status="unhealthy", failures=3, down_since=world.now)
    operations.heal(instance.pk)
    operation = Operation.objects.get()
    [message] = sent("operations")
    assert (message.task, message.kwargs) == ("dockmgr.carry_on", {"operation_id": str(operation.pk)})
    operations.heal(instance.pk)
    assert sent("operations") == []
    assert health_of(instance).restarts_used == 1


def test_carrying_on_brings_an_operation_to_its_end_and_no_further(world: World) -> None:
    world.instance()
    operation = service.begin_restart("c1", ASKED, world.outside)
    for _ in range(2):
        operations.carry_on(str(operation.pk))
    operation.refresh_from_db()
    assert (operation.status, world.engine.starts) == ("succeeded", {"dockmgr-c1": 1})


def run_task(name: str, **kwargs: Any) -> Any:
    """As a worker would, without one."""
    return registered(name).apply(kwargs=kwargs, throw=True).get()


def test_a_restart_task_returns_its_operation_and_is_done_once(world: World) -> None:
    world.instance()
    asked = {"customer_id": "c1", "requested_by": "billing", "reason": "asked", "request_id": "r-1"}
    first, again = run_task("dockmgr.restart", **asked), run_task("dockmgr.restart", **asked)
    assert (first["status"], first["requested_by"], first["reason"]) == ("succeeded", "billing", "asked")
    assert (again["id"], world.engine.starts) == (first["id"], {"dockmgr-c1": 1})


def test_a_request_that_is_refused_and_done_later_has_both_on_record(world: World) -> None:
    world.instance()
    other = service.begin_restart("c1", ASKED, world.outside)
    asked = {"customer_id": "c1", "requested_by": "billing", "request_id": "r-1"}
    for _ in range(2):
        with pytest.raises(BusyError):
            run_task("dockmgr.restart", **asked)
    service.run_to_end(other.pk, world.outside)
    done = {run_task("dockmgr.restart", **asked)["id"] for _ in range(2)}
    outcomes = AuditEntry.objects.order_by("pk").values_list("outcome", flat=True)
    assert [text.partition(":")[0] for text in outcomes] == ["c1 is being changed", f"operation {done.pop()}"]


def test_provisioning_and_decommissioning_tasks_do_it_once(world: World) -> None:
    order = {**NEW, "request_id": "p-1"}
    assert run_task("dockmgr.provision", **order)["success"]
    assert run_task("dockmgr.provision", **order)["validation"]["valid"]
    end = {"customer_id": "new", "purge_data": True, "request_id": "d-1"}
    assert run_task("dockmgr.decommission", **end)["status"] == "succeeded"
    assert run_task("dockmgr.decommission", **end)["status"] == "succeeded"
    assert Operation.objects.count() == 2


def test_a_task_whose_operation_was_taken_over_comes_back_for_its_end(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.instance()
    stop = world.engine.stop

    def stand_still(container: str, timeout: int) -> None:
        stop(container, timeout)
        Operation.objects.update(token=7)

    monkeypatch.setattr(world.engine, "stop", stand_still)
    with pytest.raises(Retry):
        operations.restart.apply(kwargs={"customer_id": "c1"}, throw=True)
    assert Operation.objects.get().status == "running"


def test_a_transient_failure_puts_the_task_back_for_later(world: World) -> None:
    world.instance()
    world.engine.fail_next("stop", TransientError("The engine is out of sorts."))
    with pytest.raises(Retry) as again:
        operations.restart.apply(kwargs={"customer_id": "c1"}, throw=True)
    assert 1 < float(str(again.value.when)) < 3
    assert Operation.objects.get().tries == 1


WRONG: list[tuple[str, dict[str, Any]]] = [
    ("dockmgr.restart", {"customer_id": "Not An Id"}),
    ("dockmgr.restart", {"customer_id": None}),
    ("dockmgr.check_health", {"customer_id": "unknown"}),
    ("dockmgr.logs", {"customer_id": "c1", "lines": "many"}),
    ("dockmgr.logs", {"customer_id": "c1", "since": "yesterday"}),
    ("dockmgr.logs", {"customer_id": "c1", "since": 5}),
    ("dockmgr.validate_deployment", {"subdomain": ["x"]}),
    ("dockmgr.decommission", {"customer_id": "unknown"}),
    ("dockmgr.provision", {**NEW, "plan": 5}),
    ("dockmgr.provision", {**NEW, "env": ["A"]}),
    ("dockmgr.provision", {**NEW, "image": 5}),
]


def test_a_wrong_request_is_refused_in_one_sentence(world: World) -> None:
    world.instance()
    for name, kwargs in WRONG:
        with row(name, kwargs):
            with pytest.raises(RequestError) as refused:
                registered(name)(**kwargs)
            assert str(refused.value).endswith(".")
            assert not Operation.objects.exists()


def test_recovery_hands_on_operations_whose_worker_died(world: World, sent: Sent) -> None:
    for name in ("dead", "alive", "waiting"):
        world.instance(name)
        service.begin_restart(name, ASKED, world.outside)
    dead, alive = (Operation.objects.get(customer_id=name) for name in ("dead", "alive"))
    Operation.objects.filter(pk=dead.pk).update(
        status="running", lease_owner="gone", lease_expires_at=world.now - timedelta(seconds=1)
    )
    Operation.objects.filter(pk=alive.pk).update(status="running", lease_owner="here")
    maintenance.recover()
    [message] = sent("operations")
    assert (message.task, message.kwargs) == ("dockmgr.carry_on", {"operation_id": str(dead.pk)})


def test_recovery_closes_sweeps_whose_checks_got_lost(world: World, sent: Sent) -> None:
    sweeps.start(world.now, 900)
    world.clock.advance(1000)
    maintenance.recover()
    assert Sweep.objects.get().state == "incomplete"


def test_only_old_history_is_purged(world: World, settings: Settings) -> None:
    settings.HISTORY_DAYS = 2
    instance = world.instance()
    for days in (3, 1):
        world.clock.advance(days * 86400)
        sweep = sweeps.start(world.now, 900)
        record([a_check(world, instance, sweep_id=str(sweep.pk))], world.now)
        sweeps.finish(sweep, world.now)
    world.clock.advance(1.5 * 86400)
    maintenance.keep_history()
    purged = maintenance.purge_history()
    assert (purged["checks"], purged["sweeps"], sum(purged.values())) == (1, 1, 2)
    assert (HealthCheck.objects.count(), Sweep.objects.count()) == (1, 1)
    assert Instance.objects.count() == 1
