"""A list of keys that is one parameter finds what a list of parameters finds."""

from __future__ import annotations

from itertools import product

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from instances.db.among import among
from instances.models import Health, Instance
from tests.factories import World
from tests.rows import row

pytestmark = pytest.mark.django_db


def test_rows_among_keys_are_those_of_in(world: World) -> None:
    keys = [world.instance(f"c{number}").pk for number in range(3)]
    wanted: tuple[list[int], ...] = ([], [0], [2, 0, 2])
    for model, places in product((Instance, Health), wanted):
        with row(model.__name__, places):
            some = [keys[place] for place in places] + [2**62]
            found = set(model._default_manager.filter(among("pk", some)).values_list("pk", flat=True))
            assert found == set(model._default_manager.filter(pk__in=some).values_list("pk", flat=True))
            assert len(found) == len(set(places))


def test_it_is_one_parameter_however_many_there_are(world: World) -> None:
    own = world.instance()
    with CaptureQueriesContext(connection) as said:
        assert Health.objects.filter(among("pk", range(own.pk, own.pk + 100_000))).count() == 1
    assert len(said) == 1
