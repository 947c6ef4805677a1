"""Two installations on one broker: each does only what is its own, and says so."""

from __future__ import annotations

import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from celery.app.task import Context
from django.db import DatabaseError

from instances.checks.record import record
from instances.db import installation
from instances.db.installation import ASK_EVERY, Installation
from instances.errors import OutOfReachError
from instances.incidents.rules import SELF
from instances.models import HealthCheck, Incident, Sweep
from instances.monitoring.self_check import SelfCheck, show_life
from instances.monitoring.self_rules import STRANGER_FOR, Part
from instances.operations import service
from tasks import checks
from tasks.broker import foreign
from tasks.broker.foreign import HEADER, LASTING, ForeignMessages
from tests.factories import ASKED, World, a_check, about
from tests.fast.tasks.test_tasks import Sent, registered

pytestmark = pytest.mark.django_db
OURS, THEIRS = "a" * 16, "b" * 16


@pytest.fixture(autouse=True)
def own_identity(monkeypatch: pytest.MonkeyPatch, world: World) -> None:
    monkeypatch.setattr(foreign, "FOREIGN", ForeignMessages(lambda: OURS, lambda: OURS))
    monkeypatch.setattr(foreign, "SYSTEM", world.clock)


def taken(name: str, sender: str | None, *, answered: bool = False, **kwargs: Any) -> Any:
    """What a worker makes of a message."""
    task = registered(name)
    headers = {HEADER: sender} if sender else {}
    task.request_stack.push(Context(headers=headers, ignore_result=not answered))
    try:
        return task(**kwargs)
    finally:
        task.request_stack.pop()


@pytest.mark.parametrize(("sender", "done"), [(THEIRS, False), (OURS, True), (None, True)])
def test_only_our_own_messages_are_acted_on(world: World, sender: str | None, done: bool) -> None:
    world.instance()
    operation = service.begin_restart("c1", ASKED)
    taken("dockmgr.carry_on", sender, operation_id=str(operation.pk))
    operation.refresh_from_db()
    assert (operation.finished_at is not None) is done


@pytest.mark.usefixtures("sent")
@pytest.mark.parametrize(
    ("sender", "by", "told"),
    [
        (OURS, "beat", "beat"),
        (OURS, "api:ada", "api:ada"),
        (None, "beat", "task:beat"),
        (None, "admin:ada", "task:admin:ada"),
        (None, "billing", "billing"),
    ],
)
def test_a_sweep_is_begun_in_the_name_of_whom_asked(
    monkeypatch: pytest.MonkeyPatch, sender: str | None, by: str, told: str
) -> None:
    monkeypatch.setattr(foreign, "INSTALLATION", Installation(lambda: OURS))
    taken("dockmgr.sweep", sender, answered=True, requested_by=by)
    sweep = Sweep.objects.get()
    assert (sweep.requested_by, sweep.slot is not None) == (told, told == "beat")


def test_who_waits_for_an_answer_is_told_why_there_is_none(world: World) -> None:
    world.instance()
    with pytest.raises(OutOfReachError, match="another dockmgr"):
        taken("dockmgr.validate", THEIRS, answered=True, customer_id="c1")
    assert taken("dockmgr.validate", None, answered=True, customer_id="c1")["checks"]


def test_a_database_that_moved_makes_no_stranger_of_its_own_messages() -> None:
    messages = ForeignMessages(lambda: "before", lambda: OURS)
    assert not messages.is_foreign(OURS)
    assert messages.is_foreign(THEIRS)
    assert not ForeignMessages(lambda: None, lambda: None).is_foreign(THEIRS)


def test_it_is_told_once_when_it_lasts_and_ends_with_the_last_message(world: World) -> None:
    itself = SelfCheck(world.now, lambda: 300.0, lambda: {})

    def alarms() -> list[str]:
        for part in Part:
            show_life(part, world.now)
        itself.judge(world.now)
        return [found.message for found in Incident.objects.filter(kind=SELF, resolved_at=None)]

    def message_comes(after: timedelta) -> None:
        world.clock.advance(after.total_seconds())
        taken("dockmgr.heal", THEIRS, instance_id=1)

    message_comes(timedelta(0))
    message_comes(LASTING / 2)
    assert alarms() == []
    message_comes(LASTING / 2)
    told = alarms()
    assert len(told) == 1
    assert "DOCKMGR_BROKER_PREFIX" in told[0]
    world.clock.advance(STRANGER_FOR.total_seconds() + 1)
    assert alarms() == []


def test_messages_say_whose_they_are(world: World, sent: Sent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foreign, "INSTALLATION", Installation(lambda: OURS))
    world.instance()
    checks.sweep()
    [message] = sent("health")
    assert message.headers[HEADER] == OURS


def test_a_check_of_a_sweep_that_is_not_here_costs_no_others_theirs(world: World) -> None:
    ours, other = (a_check(world, world.instance(name)) for name in ("ours", "other"))
    recorded, finished = record([about(other, sweep_id=str(uuid.uuid4())), ours], world.now)
    assert [bool(result.verdict) for result in recorded] == [True, True]
    assert list(HealthCheck.objects.values_list("sweep_id", flat=True)) == [None, None]
    assert finished == set()


def test_a_file_is_known_by_itself_and_not_by_its_name(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).write_text("alike")
    (tmp_path / "link").symlink_to(tmp_path / "one")
    one, two, link, gone = (
        installation._file(str(tmp_path / name)) for name in ("one", "two", "link", "gone")
    )
    assert one == link
    assert one != two
    assert gone is None


def test_the_identity_is_asked_now_and_then_and_outlives_a_database_that_is_away() -> None:
    answers: list[str | Exception] = ["first", DatabaseError("away"), "second"]
    at = 0.0

    def ask() -> str:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    own = Installation(ask, lambda: at)
    assert [own.id(), own.id()] == ["first", "first"]
    at += ASK_EVERY
    assert own.id() == "first"
    at += ASK_EVERY
    assert own.id() == "second"
