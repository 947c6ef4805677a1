"""A registry that refuses is asked once; one that wants to be left alone is left alone for that long."""

from __future__ import annotations

import pytest

from instances.documents import told_in_full
from instances.errors import DiskFull, DockmgrError, PermanentError, RetryLater, TransientError
from instances.operations import service
from instances.operations.attempts import TryAgain
from tests.factories import IMAGE, World
from tests.fast.updates import begin, publish, update

pytestmark = pytest.mark.django_db
TOO_MANY = "toomanyrequests: slow down."


def waits(world: World, *errors: DockmgrError) -> list[float]:
    """How long an update pauses after each of the errors its pull meets."""
    world.instance()
    publish(world)
    for error in errors:
        world.engine.fail_next("pull", error)
    operation = begin(world)
    found = []
    for _ in errors:
        with pytest.raises(TryAgain) as pause:
            service.run_once(operation.pk, world.outside)
        found.append(pause.value.seconds)
        world.clock.sleep(pause.value.seconds + 1)
    return found


def test_a_refused_login_is_said_once(world: World) -> None:
    world.instance()
    publish(world)
    for _ in range(4):
        world.engine.fail_next("pull", PermanentError("The registry refused: unauthorized."))
    done = update(world)
    assert done.status == "failed"
    assert told_in_full(done).endswith("The registry said: The registry refused: unauthorized.")
    assert [step["status"] for step in done.steps if step["name"] == "pull"] == ["failed"]


def test_a_full_disk_is_the_hosts_and_not_told_of_the_registry(world: World) -> None:
    world.instance()
    publish(world)
    for _ in range(4):
        world.engine.fail_next("pull", DiskFull("write /blob: no space left on device."))
    done = update(world)
    assert (done.status, done.error) == (
        "failed",
        f"The disk of the engine of host local is full: it has no room for the image {IMAGE}.",
    )


def test_a_registry_is_left_alone_for_as_long_as_it_asks(world: World) -> None:
    [wait] = waits(world, RetryLater(TOO_MANY, 300.0))
    assert 300 < wait < 310


def test_nobody_waits_for_more_than_a_quarter_of_an_hour(world: World) -> None:
    [wait] = waits(world, RetryLater(TOO_MANY, 86_400.0))
    assert 900 < wait < 910


def test_where_no_time_is_said_each_wait_is_longer(world: World) -> None:
    first, second, third = waits(world, *[RetryLater(TOO_MANY)] * 3)
    assert 60 < first < 70
    assert 120 < second < 140
    assert 240 < third < 280


def test_any_other_failure_is_tried_again_soon(world: World) -> None:
    [wait] = waits(world, TransientError("It may pass."))
    assert wait < 5
