"""What a container wrote last is kept when it goes or is found dead, and gets in nobody's way."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from instances.alerts.messages import as_text
from instances.checks.record import record
from instances.engine.port import LogStream
from instances.errors import EngineUnreachable
from instances.fleet.retention import purge
from instances.lib.redact import MARK
from instances.models import Incident, LastWords, Notification, Operation
from instances.operations import last_words
from instances.operations.last_words import keep_of_death
from tests.factories import SECRET, World, a_failure
from tests.fast.conftest import Run
from tests.fast.telling import a_channel, told_after
from tests.fast.updates import NEW, answers_by_image, publish, update

pytestmark = pytest.mark.django_db


def words_of(operation: Operation) -> list[list[str]]:
    return [row.lines for row in operation.last_words.all()]


def test_a_restart_keeps_the_last_lines_without_secrets(world: World) -> None:
    instance = world.instance()
    log = b"old\n" + b"line\n" * 198 + b"key " + SECRET.encode() + b"\n\0\xff odd\n"
    world.engine.write_log(instance.container_id, log)
    operation = world.restart()
    [lines] = words_of(operation)
    assert (len(lines), lines[-2]) == (200, f"key {MARK}")
    assert "\0" not in lines[-1] and lines[-1].endswith("odd")
    assert SECRET not in repr(list(LastWords.objects.values_list()))


def test_a_removal_keeps_them_once(world: World) -> None:
    instance = world.instance()
    world.engine.write_log(instance.container_id, b"farewell\n")
    operation = world.decommission(purge_data=True)
    assert (operation.status, words_of(operation)) == ("succeeded", [["farewell"]])


def test_an_update_keeps_those_of_the_old_one_and_of_a_new_one_that_fails(world: World) -> None:
    instance = world.instance()
    world.engine.write_log(instance.container_id, b"old says\n")
    publish(world)
    world.engine.speaks = b"new says\n"
    answers_by_image(world, instance.port, NEW)
    operation = update(world)
    assert (operation.status, sorted(words_of(operation))) == ("rolled_back", [["new says"], ["old says"]])


def test_a_long_log_is_bounded_in_bytes(world: World) -> None:
    instance = world.instance()
    world.engine.write_log(instance.container_id, b"".join(b"x" * 4000 + b"\n" for _ in range(200)))
    world.restart()
    kept = LastWords.objects.get()
    assert kept.truncated
    assert 10 <= len(kept.lines) <= 16
    assert len(kept.packed) < 1000


def hanging(release: threading.Event) -> Callable[..., LogStream]:
    def logs(*_args: Any, **_kwargs: Any) -> LogStream:
        release.wait(30)
        raise EngineUnreachable("The engine is gone.")

    return logs


def test_nothing_of_it_fails_or_delays_an_operation(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    instance, release = world.instance(), threading.Event()
    world.engine.write_log(instance.container_id, b"words\n")
    for trouble in (EngineUnreachable("It does not answer."), RuntimeError(SECRET)):
        world.engine.fail_next("logs", trouble)
        assert world.restart().status == "succeeded"
    with monkeypatch.context() as patch:
        patch.setattr(last_words, "SECONDS", 0.05)
        patch.setattr(world.engine, "logs", hanging(release))
        assert world.restart().status == "succeeded"
        release.set()
    world.engine._logs.clear()
    assert world.restart().status == "succeeded"
    assert not LastWords.objects.exists()


def died(world: World, **seen: Any) -> None:
    instance = world.instance()
    world.engine.write_log(instance.container_id, "".join(f"line {n}\n" for n in range(9)).encode())
    for _ in range(3):
        [recorded], _finished = record([a_failure(world, instance, "exited", **seen)], world.now)
        keep_of_death(recorded, world.outside)
        world.clock.advance(60)


def test_a_death_that_is_noticed_is_told_with_its_last_lines(world: World, run: Run) -> None:
    a_channel()
    died(world)
    kept = LastWords.objects.get()
    assert (kept.incident, kept.operation, len(kept.lines)) == (Incident.objects.get(), None, 9)
    assert told_after(world, 120)
    document = Notification.objects.get().payload
    assert document["last_lines"] == ["line 4", "line 5", "line 6", "line 7", "line 8"]
    assert "\n| line 8\n" in as_text(document)[1]
    [incident] = json.loads(run("incidents", "--events", "--json").out)
    assert incident["last_words"][0]["lines"][-1] == "line 8"
    assert "last_words" not in json.loads(run("incidents", "--json").out)[0]
    assert "line 8" in run("incidents", "--events").out


def test_what_wedges_or_does_not_answer_has_not_died(world: World) -> None:
    instance = world.instance()
    world.engine.write_log(instance.container_id, b"still here\n")
    [recorded], _ = record([a_failure(world, instance, "timeout")], world.now)
    keep_of_death(recorded, world.outside)
    assert not LastWords.objects.exists()


def test_they_are_forgotten_after_a_month(world: World) -> None:
    died(world)
    assert purge(world.now + timedelta(days=29))["last words"] == 0
    assert purge(world.now + timedelta(days=31))["last words"] == 1
