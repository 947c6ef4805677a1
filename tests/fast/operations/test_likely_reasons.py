"""The error of a failed start says what probably has to be said in the plan."""

from __future__ import annotations

import pytest

from instances.errors import PermanentError
from tests.factories import World
from tests.fakes.outside import fails
from tests.fast.updates import publish, update

pytestmark = pytest.mark.django_db


def dies_of(world: World, line: bytes) -> None:
    """Whatever port it gets, it does not answer."""
    world.engine.speaks = line
    world.probe.answers = {port: fails("refused") for port in range(20000, 20010)}


def test_a_failed_provisioning_names_the_likely_reason(world: World) -> None:
    dies_of(world, b"mkdir: can't create '/data/db': Permission denied\n")
    done = world.provision()
    assert done.status == "failed"
    assert done.error.endswith("say data_owner, the numbers of the image's user and group.")


def test_so_do_an_update_and_a_restart(world: World) -> None:
    world.instance()
    publish(world, "agent-2")
    dies_of(world, b"exec /srv/start.sh: exec format error\n")
    assert "another processor" in update(world).error
    assert "another processor" in world.restart().error


def test_how_a_run_ended_that_was_stopped_says_nothing_of_a_start_that_is_refused(world: World) -> None:
    world.engine.change(world.instance().container_id, state="exited", exit_code=137)
    world.engine.fail_next("start", PermanentError("The engine refuses that."))
    assert world.restart().error == "The engine refuses that."


def test_what_is_not_known_is_not_guessed(world: World) -> None:
    dies_of(world, b"bye\n")
    assert world.provision().error.endswith("nothing listens on the port.")
