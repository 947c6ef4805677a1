"""Words that are kept as numbers."""

from __future__ import annotations

import pytest
from django.db import connection

from instances.checks.record import record
from instances.models import HealthCheck
from tests.factories import World, a_failure

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("number", [-1, 99])
def test_a_number_of_a_newer_release_reads_as_a_word_that_says_so(world: World, number: int) -> None:
    record([a_failure(world, world.instance())], world.now)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE instances_check SET outcome = %s, status = %s, container_state = %s", [number] * 3
        )
    row = HealthCheck.objects.get()
    assert (row.outcome, row.status, row.container_state) == ("unknown", "unknown", "other")
