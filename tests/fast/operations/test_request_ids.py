"""A request id stands for one request: the same again is answered as it stands, another one is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from instances.errors import RequestError
from instances.models import Operation
from instances.operations import service
from instances.operations.procedures.provision import ProvisionRequest
from instances.operations.requester import Requester
from tests.factories import World

pytestmark = pytest.mark.django_db
ASKING = Requester("x", request_id="R1", may_choose_image=True)
Begin = Callable[..., Operation]


def restart(world: World, **asked: Any) -> Operation:
    return service.begin_restart("c1", ASKING, world.outside, **asked)


def decommission(world: World, **asked: Any) -> Operation:
    return service.begin_decommission("c1", ASKING, outside=world.outside, **asked)


def update(world: World, **asked: Any) -> Operation:
    return service.begin_update("c1", ASKING, outside=world.outside, **asked)


def provision(world: World, **asked: Any) -> Operation:
    order = {"subdomain": "c1.example.com", "plan": "pro", "env": {}, **asked}
    return service.begin_provision(ProvisionRequest("c1", **order), ASKING, world.outside)


OTHERS: list[tuple[Begin, dict[str, Any], dict[str, Any]]] = [
    (restart, {}, {"with_empty_data": True}),
    (decommission, {}, {"purge_data": True}),
    (update, {"image": "registry.example.com/agent:2.0"}, {"image": "registry.example.com/agent:3.0"}),
    (provision, {}, {"subdomain": "other.example.com"}),
    (provision, {"env": {"KEY": "s3cret"}}, {"env": {"KEY": "another"}}),
    (provision, {}, {"former_data": "fresh"}),
]


@pytest.mark.parametrize(("begin", "first", "then"), OTHERS)
def test_other_arguments_under_the_same_id_are_refused(
    world: World, begin: Begin, first: dict[str, Any], then: dict[str, Any]
) -> None:
    if begin is not provision:
        world.instance()
    made = begin(world, **first)
    assert begin(world, **first).pk == made.pk
    with pytest.raises(RequestError, match=f"used for the {made.kind} of c1 with other arguments"):
        begin(world, **then)
    Operation.objects.update(finished_at=world.now, status="succeeded")
    with pytest.raises(RequestError, match="with other arguments"):
        begin(world, **then)
    assert begin(world, **first).finished_at
    assert Operation.objects.count() == 1


def test_what_says_nothing_is_what_was_left_out(world: World) -> None:
    made = provision(world)
    assert provision(world, host=None, image="", former_data="").pk == made.pk


def test_a_row_of_an_older_release_is_answered_as_it_stands(world: World) -> None:
    world.instance()
    made = restart(world)
    Operation.objects.update(params={})
    assert restart(world, with_empty_data=True).pk == made.pk


def test_keys_may_be_exchanged_in_between(world: World, settings: Settings) -> None:
    world.instance()
    made, old, new = restart(world), settings.ENCRYPTION_KEYS, b"n" * 32
    settings.ENCRYPTION_KEYS = [new, *old]
    assert restart(world).pk == made.pk
    with pytest.raises(RequestError):
        restart(world, with_empty_data=True)
    settings.ENCRYPTION_KEYS = [new]
    assert restart(world).pk == made.pk


def test_the_row_says_nothing_of_what_was_asked_for(world: World) -> None:
    made = provision(world, env={"KEY": "s3cret"})
    assert "s3cret" not in str(made.params)
    assert len(made.params["asked"]) == 41
