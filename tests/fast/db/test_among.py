"""A list of keys that is one parameter finds what a list of parameters finds."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from instances.db.among import among
from instances.models import Health, Instance
from tests.factories import World

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("model", [Instance, Health], ids=lambda model: model.__name__)
@pytest.mark.parametrize("wanted", [[], [0], [2, 0, 2]], ids=str)
def test_rows_among_keys_are_those_of_in(
    world: World, model: type[Instance | Health], wanted: list[int]
) -> None:
    keys = [world.instance(f"c{number}").pk for number in range(3)]
    some = [keys[place] for place in wanted] + [2**62]
    found = set(model._default_manager.filter(among("pk", some)).values_list("pk", flat=True))
    assert found == set(model._default_manager.filter(pk__in=some).values_list("pk", flat=True))
    assert len(found) == len(set(wanted))


def test_it_is_one_parameter_however_many_there_are(world: World) -> None:
    own = world.instance()
    with CaptureQueriesContext(connection) as said:
        assert Health.objects.filter(among("pk", range(own.pk, own.pk + 100_000))).count() == 1
    assert len(said) == 1
