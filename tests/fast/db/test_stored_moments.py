"""A moment comes back from the database as it was written, in UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from django.db import connection

from instances.models import Sweep

pytestmark = pytest.mark.django_db
BERLIN = timezone(timedelta(hours=2))


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2026, 3, 1, 12, tzinfo=UTC),
        datetime(2026, 3, 1, 12, 0, 0, 1, tzinfo=UTC),
        datetime(2026, 3, 1, 12, 0, 0, 999_999, tzinfo=UTC),
        datetime(2026, 3, 1, 12, 0, 0, 120_000, tzinfo=UTC),
        datetime(1, 1, 2, tzinfo=UTC),
        datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        datetime(2026, 7, 1, 1, 30, tzinfo=BERLIN),
    ],
)
def test_a_moment_is_read_as_it_was_written(moment: datetime) -> None:
    row = Sweep.objects.create(started_at=moment, expires_at=moment)
    [(read, nothing)] = Sweep.objects.filter(pk=row.pk).values_list("started_at", "progress_at")
    assert (read, read.tzinfo, nothing) == (moment, UTC, None)


def test_a_session_is_in_utc_wherever_its_server_is() -> None:
    """Its moments are read as they are sent, which says where that is."""
    assert connection.timezone == UTC
    with connection.cursor() as cursor:
        cursor.execute("SELECT started_at FROM instances_sweep")  # opens the session
        if connection.vendor == "postgresql":
            cursor.execute("SHOW timezone")
            assert cursor.fetchone() == ("UTC",)
