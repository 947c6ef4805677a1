"""Every row of the policies is kept: each thing it says has its effect on the task it is about."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from django.db import IntegrityError, OperationalError
from kombu.exceptions import OperationalError as BrokerFailure

from dev.up import programs
from instances.errors import DockmgrError, EngineUnreachable, OutOfReachError, RequestError, TransientError
from instances.lib.backoff import wait_before_next
from tasks import app as tasks_app
from tasks.app import app
from tasks.policies import POLICIES
from tests.factories import World
from tests.fakes.outside import FakeClock
from tests.fast.tasks.test_tasks import Sent, load_tasks, registered

TRIED_AGAIN = {
    "dockmgr.logs",
    "dockmgr.log_view",
    "dockmgr.container_facts",
    "dockmgr.test_host",
    "dockmgr.orphans",
    "dockmgr.validate",
    "dockmgr.validate_deployment",
}
AWAY = EngineUnreachable("The Docker Engine does not answer.")


class Failing:
    """A task's work that fails so many times before it returns."""

    def __init__(self, error: Exception, times: int) -> None:
        self.error, self.left, self.calls = error, times, 0

    def __call__(self, *_: Any, **__: Any) -> str:
        self.calls += 1
        if self.calls <= self.left:
            raise self.error
        return "done"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    clock = FakeClock()
    monkeypatch.setattr(tasks_app, "SYSTEM", clock)
    return clock


def work(monkeypatch: pytest.MonkeyPatch, name: str, work: Failing) -> Any:
    """Have a worker do the task, whose work is replaced."""
    task = registered(name)
    monkeypatch.setattr(task, "run", work)
    return task()


def test_every_task_has_a_policy_and_every_policy_a_task() -> None:
    load_tasks()
    assert set(POLICIES) == {name for name in app.tasks if not name.startswith("celery.")}


@pytest.mark.parametrize("name", POLICIES)
def test_what_may_pass_is_tried_as_often_as_the_policy_says(
    name: str, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    retry, failing = POLICIES[name].retry, Failing(AWAY, times=99)
    with pytest.raises(TransientError, match="does not answer"):
        work(monkeypatch, name, failing)
    assert failing.calls == retry.tries == (2 if name in TRIED_AGAIN else 1)
    assert clock.slept == [wait_before_next(retry, done) for done in range(1, retry.tries)]
    assert clock.slept == [1.0] * (name in TRIED_AGAIN)


@pytest.mark.parametrize("name", POLICIES)
def test_a_wrong_request_is_not_tried_again(
    name: str, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = Failing(RequestError("There is no such thing."), times=99)
    with pytest.raises(RequestError):
        work(monkeypatch, name, failing)
    assert (failing.calls, clock.slept) == (1, [])


@pytest.mark.parametrize("name", sorted(TRIED_AGAIN))
def test_a_second_try_that_goes_well_is_the_answer(
    name: str, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged: list[str] = []
    monkeypatch.setattr(tasks_app.logger, "warning", lambda text, *args: logged.append(text % args))
    assert work(monkeypatch, name, Failing(AWAY, times=1)) == "done"
    assert logged == ["The Docker Engine does not answer. Trying again in 1 s."]


@pytest.mark.parametrize("name", POLICIES)
def test_a_message_carries_what_its_policy_says(name: str, sent: Sent) -> None:
    task, policy = registered(name), POLICIES[name]
    parameters = inspect.signature(task.run).parameters.values()
    task.apply_async(kwargs={p.name: "x" for p in parameters if p.default is p.empty})
    [message] = sent(policy.queue)
    assert message.task == name
    assert message.headers["timelimit"] == [policy.time_limit, policy.time_limit - 5]
    assert message.headers["ignore_result"] is policy.ignore_result
    assert (message.headers["expires"] is not None) is (policy.expires is not None)
    assert task.expires == policy.expires
    assert (task.acks_late, task.throws) == (policy.acks_late, (DockmgrError,))


def test_what_tells_somebody_outside_on_request_has_a_queue_of_its_own() -> None:
    telling = {name for name, policy in POLICIES.items() if policy.queue == "notifications"}
    assert telling == {"dockmgr.ping_heartbeat", "dockmgr.try_channel"}


def test_the_workers_of_one_machine_serve_every_queue_once() -> None:
    commands = [list(program.command) for program in programs("unix:///nowhere.sock", 3)]
    served = [command[command.index("-Q") + 1] for command in commands if "-Q" in command]
    assert sorted(",".join(served).split(",")) == sorted(app.amqp.queues)


@pytest.mark.django_db
def test_a_log_is_read_although_the_engine_did_not_answer_at_first(world: World) -> None:
    world.instance("c1")
    world.engine.fail_next("logs", AWAY)
    read = registered("dockmgr.logs").apply(kwargs={"customer_id": "c1"}, throw=True).get()
    assert read == {"customer_id": "c1", "lines": [], "truncated": False}
    assert world.clock.slept == [1.0]


def test_what_is_away_is_no_defect_of_a_task(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is expected is one line in a worker's log, and a defect is a traceback."""
    away = OperationalError("server closed the connection unexpectedly")
    with pytest.raises(OutOfReachError, match="The database can't be reached"):
        work(monkeypatch, "dockmgr.heal", Failing(away, 1))
    with pytest.raises(OutOfReachError, match="The broker"):
        work(monkeypatch, "dockmgr.heal", Failing(BrokerFailure("Error 2 connecting"), 1))
    with pytest.raises(IntegrityError):
        work(monkeypatch, "dockmgr.heal", Failing(IntegrityError("twice"), 1))
