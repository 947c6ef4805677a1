"""Commands that hand their work to the workers, and commands that can't reach what they need."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import call_command
from django.db import OperationalError, ProgrammingError, connection

from instances import lookup
from instances.engine import pool
from instances.errors import DEFECT, EngineUnreachable
from instances.models import AuditEntry, Operation
from instances.operations import service
from tests.factories import World
from tests.fast.conftest import Message, Run

pytestmark = pytest.mark.django_db
PROVISION = ("provision", "--customer-id", "new", "--subdomain", "new.example.com", "--plan", "pro")


@pytest.mark.parametrize(
    "words", [("restart", "--customer-id", "c1"), ("decommission", "--customer-id", "c1"), PROVISION]
)
def test_handing_on_writes_the_operation_and_publishes_its_id_alone(
    world: World, run: Run, sent: Callable[[str], list[Message]], words: tuple[str, ...]
) -> None:
    if words is not PROVISION:
        world.instance()
    ran = run(*words, "--enqueue", "--json")
    operation = Operation.objects.get()
    [message] = sent("operations")
    assert (ran.code, ran.document["id"], ran.document["status"]) == (0, str(operation.pk), "queued")
    assert (message.task, message.kwargs) == ("dockmgr.carry_on", {"operation_id": str(operation.pk)})
    assert (world.engine.starts, world.engine.stops) == ({}, {})


def test_an_operation_that_has_not_begun_is_shown_without_a_table(
    world: World, run: Run, sent: Callable[[str], list[Message]]
) -> None:
    world.instance()
    shown = run("restart", "--customer-id", "c1", "--enqueue").out
    assert shown == f"restart c1: queued  ({sent('operations')[0].kwargs['operation_id']})\n"


def test_checks_and_sweeps_can_be_handed_on(
    world: World, run: Run, sent: Callable[[str], list[Message]]
) -> None:
    world.instance()
    assert run("check_health", "--all", "--enqueue", "--json").code == 0
    assert run("daily_health", "--enqueue", "--json").code == 0
    assert [m.task for m in sent("health")] == ["dockmgr.check_health", "dockmgr.sweep"]


TROUBLES: list[tuple[Exception, str]] = [
    (OperationalError("connection refused"), "The database can't be reached"),
    (ProgrammingError('relation "instances_instance" does not exist'), "run manage.py migrate first"),
    (EngineUnreachable("The Docker Engine is out of reach."), "The Docker Engine is out of reach."),
]


@pytest.mark.parametrize(("trouble", "sentence"), TROUBLES)
def test_what_is_out_of_reach_ends_with_3_and_a_sentence(
    world: World, run: Run, monkeypatch: pytest.MonkeyPatch, trouble: Exception, sentence: str
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise trouble

    monkeypatch.setattr(lookup, "instance", broken)
    ran = run("restart", "--customer-id", "c1", "--json")
    assert (ran.code, ran.err.count("\n"), set(ran.document)) == (3, 1, {"error"})
    assert sentence in ran.err
    assert "Traceback" not in ran.err


def test_a_defect_is_told_in_a_sentence_and_a_document_and_recorded(
    world: World, run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("by nothing")

    monkeypatch.setattr(service, "pause", fail)
    world.instance("c1")
    ran = run("pause", "--customer-id", "c1", "--json")
    assert (ran.code, ran.document) == (1, {"error": DEFECT})
    assert "ZeroDivisionError: by nothing" in caplog.text
    assert list(AuditEntry.objects.values_list("action", "target", "outcome")) == [("pause", "c1", DEFECT)]
    with pytest.raises(ZeroDivisionError):
        run("pause", "--customer-id", "c1", "--traceback")


def test_logs_of_an_engine_out_of_reach_end_with_3(
    world: World, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "REST_SECONDS", 0.0)
    world.instance()
    world.engine.unreachable = True
    ran = run("logs", "--customer-id", "c1", "--json")
    assert (ran.code, json.loads(ran.out)) == (3, {"error": ran.err.strip()})


def test_migrate_refuses_a_pooler_which_would_keep_its_lock(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(connection.settings_dict, "DISABLE_SERVER_SIDE_CURSORS", True)
    with pytest.raises(SystemExit) as ended:
        call_command("migrate", "--check")
    assert ended.value.code == 2
    assert "the URL of the server itself" in capsys.readouterr().err
