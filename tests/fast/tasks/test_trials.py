"""A test deployment that another service asks for by task is made once for its request id."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from celery.exceptions import Retry

from instances.access.asked import OTHER_ARGUMENTS
from instances.db.locks import has_row_locks
from instances.errors import BusyError, PermanentError, RequestError
from instances.fleet.trial import StepResult, Trial
from instances.models import AuditEntry, Operation, Plan
from instances.operations.requester import Requester
from tasks import operations, trials
from tasks.policies import TRIAL
from tests.factories import IMAGE, World
from tests.fast.side_by_side import side_by_side
from tests.fast.updates import publish

pytestmark = pytest.mark.django_db
ASKED = {"plan": "pro", "requested_by": "ci", "request_id": "build-7"}


@pytest.fixture
def published(world: World) -> None:
    """The plan's image is on the host and in the registry."""
    publish(world, "agent-1")


@pytest.fixture
def runs(world: World, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The plans of the test deployments that were made; each does nothing and goes well."""
    plans: list[str] = []

    def run(plan: str, *_: Any) -> Trial:
        plans.append(plan)
        return Trial(plan, [StepResult("provision", True, 0.0)])

    monkeypatch.setattr(trials, "run_trial", run)
    return plans


def made(**changed: Any) -> Any:
    return operations.test_deploy.apply(kwargs={**ASKED, **changed}, throw=True).get()


def outcomes() -> list[tuple[str, str]]:
    rows = AuditEntry.objects.order_by("pk").values_list("request_id", "outcome")
    return [(request_id, outcome.partition(" [asked")[0]) for request_id, outcome in rows]


@pytest.mark.usefixtures("published")
def test_sent_again_it_says_how_it_ended() -> None:
    first, operations_made = made(), Operation.objects.count()
    assert (first["success"], len(first["steps"])) == (True, 8)
    assert made() == {"success": True, "plan": "pro", "steps": [], "error": None}
    assert Operation.objects.count() == operations_made
    assert outcomes() == [("build-7", "done")]


@pytest.mark.usefixtures("published")
def test_one_that_failed_is_told_as_failed_again(world: World) -> None:
    world.engine.fail_next("start", PermanentError("No such program."))
    first, again = made(), made()
    assert (first["success"], again["success"]) == (False, False)
    assert first["error"] in again["error"]


def test_another_id_and_none_at_all_are_others(runs: list[str]) -> None:
    for request_id in ("build-7", "build-8", None, None):
        made(request_id=request_id)
    assert len(runs) == 4


def test_an_id_of_something_else_is_refused(runs: list[str]) -> None:
    made()
    with pytest.raises(RequestError, match=OTHER_ARGUMENTS):
        made(image=IMAGE)
    with pytest.raises(RequestError, match="test deployment pro"):
        made(plan="free")
    assert runs == ["pro"]


def test_an_id_of_a_test_deployment_is_refused_to_other_tasks(world: World, runs: list[str]) -> None:
    world.instance("c1")
    made()
    asked = {"customer_id": "c1", "requested_by": "ci", "request_id": "build-7"}
    with pytest.raises(RequestError, match="This request id was used for test deployment pro"):
        operations.restart(**asked)
    assert not Operation.objects.exists()
    assert made()["success"]


def test_what_could_not_be_made_leaves_its_id_free(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RequestError, match="no host named nosuch"):
        made(host="nosuch")
    with monkeypatch.context() as broken:
        broken.setattr(trials, "run_trial", _fails)
        with pytest.raises(ArithmeticError):
            made()
    monkeypatch.setattr(trials, "run_trial", lambda plan, *_: Trial(plan))
    made()
    assert [request_id for request_id, _ in outcomes()] == ["", "", "build-7"]


def _fails(*_: Any) -> None:
    raise ArithmeticError("a defect")


def test_one_that_is_being_made_is_waited_for_as_long_as_it_can_last(world: World, runs: list[str]) -> None:
    made()
    AuditEntry.objects.update(outcome="begun", at=world.now)
    with pytest.raises(Retry):
        made()
    world.clock.advance(TRIAL.time_limit + 1)
    made()
    assert len(runs) == 2


@pytest.mark.django_db(transaction=True)
def test_of_two_at_once_one_is_made(runs: list[str]) -> None:
    asking = Requester("ci", request_id="build-7")
    wrong = side_by_side(*[lambda: trials.once_for_its_id("pro", None, None, asking)] * 2)
    assert [error for error in wrong if not isinstance(error, BusyError)] == []
    assert (runs, outcomes()) == (["pro"], [("build-7", "done")])


@pytest.mark.django_db(transaction=True)
def test_of_two_at_once_for_different_plans_one_is_refused(runs: list[str]) -> None:
    asking, other = Requester("ci", request_id="build-7"), Plan.objects.create(name="other", image=IMAGE)
    for _ in range(20 if has_row_locks() else 2):
        AuditEntry.objects.all().delete()
        wrong = side_by_side(
            *(partial(trials.once_for_its_id, plan, None, None, asking) for plan in ("pro", other.name))
        )
        assert [type(error) for error in wrong] == [RequestError]
        assert len(outcomes()) == 1
