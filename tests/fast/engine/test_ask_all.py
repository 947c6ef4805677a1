"""Many engines are asked at once: those that hang cost one timeout, and each has its own answer."""

from __future__ import annotations

import threading

import pytest

from instances.engine.port import Engine
from instances.errors import EngineUnreachable
from instances.models import Host
from instances.outside import ENGINES_AT_ONCE, ask_all
from tests.factories import World

pytestmark = pytest.mark.django_db
TOO_LONG = 30  # seconds


def hosts(number: int) -> list[Host]:
    return [Host(name=f"h{n}", docker_url=f"unix:///fake/h{n}.sock") for n in range(number)]


def test_none_waits_for_another(world: World) -> None:
    together = threading.Barrier(ENGINES_AT_ONCE)

    def ask(_engine: Engine, host: Host) -> str:
        together.wait(TOO_LONG)
        return host.name

    some = hosts(ENGINES_AT_ONCE)
    assert ask_all(some, world.outside.engines, ask) == [host.name for host in some]


@pytest.mark.parametrize("number", [0, 1, 3])
def test_an_engine_that_does_not_answer_spoils_no_other_answer(world: World, number: int) -> None:
    def ask(_engine: Engine, host: Host) -> str:
        if host.name == "h0":
            raise EngineUnreachable("It is gone.")
        return host.name

    answers = ask_all(hosts(number), world.outside.engines, ask)
    assert [str(answer) for answer in answers] == ["It is gone.", "h1", "h2"][:number]
