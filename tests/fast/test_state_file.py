"""The state file other tools read: its shape, and that nobody ever sees half of it."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from instances import state_file
from instances.checks import sweeps
from instances.db.sessions import SESSIONS
from instances.operations import service
from instances.operations.requester import Requester
from tests.factories import World, health_of
from tests.fakes.threads import no_thread_left
from tests.fast.conftest import Run
from tests.fast.strangers import adopted

pytestmark = pytest.mark.django_db
REAL_TIMER = threading.Timer


@pytest.fixture
def path(world: World, settings: Settings, tmp_path: Path) -> Path:
    settings.STATE_FILE = tmp_path / "state.json"
    return tmp_path / "state.json"


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def test_its_shape_is_the_contracts(world: World, path: Path) -> None:
    restarted = world.now - timedelta(hours=2)
    instance = world.instance("user123", version="2026.2.19", failures=2, last_restart_at=restarted)
    sweeps.finish(sweeps.start(world.now, 900), world.now)
    state_file.write()
    healthy = health_of(instance).last_healthy_at
    assert healthy
    assert read(path) == {
        "lastHealthCheck": int(world.now.timestamp()),
        "instances": {
            "user123": {
                "lastHealthy": int(healthy.timestamp()),
                "consecutiveFailures": 2,
                "lastRestart": int(restarted.timestamp()),
                "version": "2026.2.19",
            }
        },
    }


def test_what_is_not_known_is_null(world: World, path: Path) -> None:
    world.instance("new", last_healthy_at=None)
    state_file.write()
    assert read(path) == {
        "lastHealthCheck": None,
        "instances": {
            "new": {"lastHealthy": None, "consecutiveFailures": 0, "lastRestart": None, "version": None}
        },
    }


def test_only_its_owner_may_read_it(world: World, path: Path) -> None:
    path.write_text("{}")
    path.chmod(0o644)
    state_file.write()
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_root_writes_in_another_account_s_folder_is_that_one_s(
    world: World, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[tuple[str, int, int]] = []

    def give(descriptor: int, user: int, group: int) -> None:
        given.append((Path(os.readlink(f"/proc/self/fd/{descriptor}")).suffix, user, group))

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "fchown", give)
    state_file.write()
    owner = path.parent.stat()
    assert given == [(".lock", owner.st_uid, owner.st_gid), (".draft", owner.st_uid, owner.st_gid)]
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    path.with_suffix(".lock").unlink()
    state_file.write()
    assert len(given) == 2


def test_missing_folders_are_made(world: World, settings: Settings, tmp_path: Path) -> None:
    settings.STATE_FILE = tmp_path / "deep" / "er" / "state.json"
    state_file.write()
    assert read(settings.STATE_FILE)["instances"] == {}


def test_a_failing_write_leaves_the_old_file_and_no_drafts(
    world: World, path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    state_file.write()
    before = path.read_text()
    world.instance()

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", full)
        state_file.write()
    assert path.read_text() == before
    assert {file.name for file in path.parent.iterdir()} <= {path.name, path.with_suffix(".lock").name}
    assert "The state file can't be written: No space left on device." in caplog.text


@pytest.fixture
def timers(monkeypatch: pytest.MonkeyPatch) -> list[Timer]:
    """What waits for its time, which does not pass by itself."""
    begun: list[Timer] = []
    monkeypatch.setattr(state_file, "EVERY", 3600.0)
    monkeypatch.setattr(threading, "Timer", partial(Timer, begun))
    monkeypatch.setattr(SESSIONS, "turn", nullcontext)
    return begun


class Timer:
    def __init__(self, begun: list[Timer], wait: float, work: Callable[..., None], args: list[Any]) -> None:
        self._begun, self.wait, self._work, self._args = begun, wait, work, args

    def start(self) -> None:
        self._begun.append(self)

    def passes(self) -> None:
        self._begun.remove(self)
        self._work(*self._args)


def test_what_is_asked_for_soon_is_written_once_and_later(
    world: World, path: Path, timers: list[Timer]
) -> None:
    state_file.write()
    world.instance("first")
    state_file.write()
    world.instance("second")
    state_file.write()
    assert read(path)["instances"] == {}
    [timer] = timers
    assert 3590 < timer.wait <= 3600
    timer.passes()
    assert set(read(path)["instances"]) == {"first", "second"}
    state_file.write()
    assert len(timers) == 1


def test_what_no_thread_could_wait_for_is_written_by_the_next(
    world: World, path: Path, timers: list[Timer], monkeypatch: pytest.MonkeyPatch
) -> None:
    state_file.write()
    world.instance("first")
    with monkeypatch.context() as patch, no_thread_left():
        patch.setattr(threading, "Timer", REAL_TIMER)
        state_file.write()
    state_file.write()
    timers[0].passes()
    assert set(read(path)["instances"]) == {"first"}


def test_who_is_served_by_another_picture_writes_none(world: World, path: Path, timers: list[Timer]) -> None:
    path.with_suffix(".lock").write_text(repr(time.time() - 1))
    state_file.write()
    path.with_suffix(".lock").write_text(repr(time.time()))  # another process has read and written since
    timers[0].passes()
    assert not path.exists()


def test_a_clock_that_was_ahead_holds_nothing_up(world: World, path: Path, timers: list[Timer]) -> None:
    path.with_suffix(".lock").write_text(repr(time.time() + 3600))
    state_file.write()
    assert path.exists()
    assert not timers


def test_a_failed_write_counts_as_none(world: World, path: Path, timers: list[Timer]) -> None:
    path.with_suffix(".lock").write_text("not a number")
    path.mkdir()  # nothing can take its place
    state_file.write()
    path.rmdir()
    state_file.write()
    assert path.exists()


def test_a_folder_that_cannot_be_made_stops_nothing(
    world: World, settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    settings.STATE_FILE = tmp_path / "file" / "state.json"
    world.instance()
    assert world.restart().status == "succeeded"
    assert "The state file can't be written" in caplog.text


def test_every_operation_rewrites_it(world: World, path: Path) -> None:
    world.provision()
    assert set(read(path)["instances"]) == {"new"}
    world.restart("new")
    assert read(path)["instances"]["new"]["lastRestart"]
    world.decommission("new")
    assert read(path)["instances"] == {}


def test_so_do_adopting_and_abandoning(world: World, path: Path, run: Run) -> None:
    adopted(world, run)
    assert set(read(path)["instances"]) == {"c1"}
    path.unlink()
    begun = service.begin_restart("c1", Requester("tests"), world.outside)
    assert run("operations", "--abandon", str(begun.pk), "--reason", "it hangs").code == 0
    assert set(read(path)["instances"]) == {"c1"}


def test_instances_not_yet_provisioned_are_left_out(world: World, path: Path) -> None:
    service.begin_provision(world.order(), Requester("tests"), world.outside)
    state_file.write()
    assert read(path)["instances"] == {}


def test_the_draft_of_a_writer_that_was_killed_is_replaced_by_the_next(world: World, path: Path) -> None:
    draft = path.with_name(".state.json.draft")
    draft.write_text('{"lastHealth')
    draft.chmod(0o644)
    state_file.write()
    assert {name.name for name in path.parent.iterdir()} == {"state.json", "state.lock"}
    assert path.stat().st_mode & 0o777 == 0o600
