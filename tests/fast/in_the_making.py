"""A network that another process makes at the same moment."""

from __future__ import annotations

import pytest

from instances.errors import TransientError
from tests.factories import World


def a_network_in_the_making(world: World, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Each try to make it is refused, and it can be seen from the second one on; returns the tries."""
    create = world.engine.create_network
    refused: list[str] = []

    def in_the_making(name: str, options: dict[str, str], labels: dict[str, str]) -> None:
        if refused:
            create(name, options, labels)
        refused.append(name)
        raise TransientError("The Docker Engine did not create it: networks have same bridge name.")

    monkeypatch.setattr(world.engine, "create_network", in_the_making)
    return refused
