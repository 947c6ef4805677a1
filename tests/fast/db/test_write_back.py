"""Fields of many rows are written back at once; nothing else of them is."""

from __future__ import annotations

import pytest
from django.db import connection, transaction
from django.db.models import F
from django.test.utils import CaptureQueriesContext

from instances.db.locks import locked
from instances.db.write_back import AT_ONCE, write_back
from instances.models import Host

pytestmark = pytest.mark.django_db
NUMBER = AT_ONCE + 3


@pytest.fixture(autouse=True)
def hosts() -> None:
    Host.objects.all().delete()
    Host.objects.bulk_create(Host(name=f"h{n:03}", docker_url=f"tcp://h{n}:2376") for n in range(NUMBER))


def test_only_what_is_named_is_written_whatever_the_number() -> None:
    with transaction.atomic(), CaptureQueriesContext(connection) as asked:
        rows = list(locked(Host.objects.order_by("pk")))
        for row in rows:
            row.max_memory, row.max_instances = row.pk, 7
        write_back(rows, ["max_memory"])
    written = [query["sql"] for query in asked if query["sql"].startswith("INSERT")]
    assert 2 <= len(written) <= 5
    assert Host.objects.filter(max_memory=F("pk")).count() == NUMBER
    assert not Host.objects.filter(max_instances=7).exists()


def test_nothing_to_write_asks_nobody() -> None:
    with CaptureQueriesContext(connection) as asked:
        write_back([], ["max_memory"])
    assert len(asked) == 0
