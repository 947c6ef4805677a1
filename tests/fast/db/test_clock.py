"""The clock that decides follows the database, whatever becomes of the machine's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import OperationalError, connection

from instances.db.clock import MEASURE_EVERY, SYSTEM, DatabaseClock, ask_database

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Times:
    """A machine whose clock can be set, and a database whose answers can fail."""

    def __init__(self) -> None:
        self.elapsed, self.ahead, self.asked, self.fails = 1000.0, timedelta(0), 0, False
        self.clock = DatabaseClock(self._ask, lambda: self.elapsed, lambda: self._true + self.ahead)

    @property
    def _true(self) -> datetime:
        return NOON + timedelta(seconds=self.elapsed - 1000)

    def _ask(self) -> datetime:
        self.asked += 1
        if self.fails:
            raise OperationalError("gone")
        return self._true


@pytest.fixture
def times() -> Times:
    connection.ensure_connection()
    return Times()


def test_a_machine_that_is_ahead_still_tells_the_databases_time(times: Times) -> None:
    times.ahead = 2 * HOUR
    assert times.clock.now() == NOON
    assert times.clock.skew() == 2 * HOUR


def test_a_step_of_the_machines_clock_changes_nothing(times: Times) -> None:
    times.clock.now()
    times.ahead, times.elapsed = -2 * HOUR, 1010.0
    assert times.clock.now() == NOON + timedelta(seconds=10)
    assert times.clock.skew() == -2 * HOUR


def test_the_database_is_asked_now_and_then(times: Times) -> None:
    for _ in range(100):
        times.clock.now()
    assert times.asked == 1
    times.elapsed += MEASURE_EVERY
    times.clock.now()
    assert times.asked == 2


def test_without_an_answer_the_last_measure_goes_on(times: Times) -> None:
    times.clock.now()
    times.fails, times.ahead = True, HOUR
    times.elapsed += 10 * MEASURE_EVERY
    assert times.clock.now() == NOON + timedelta(seconds=10 * MEASURE_EVERY)


def test_before_any_answer_the_machines_own_time_holds(times: Times) -> None:
    times.fails, times.ahead = True, HOUR
    assert times.clock.now() == NOON + HOUR
    assert times.clock.skew() == timedelta(0)


@pytest.mark.django_db(transaction=True)
def test_a_thread_without_a_session_opens_none_for_it(times: Times) -> None:
    times.clock.now()
    connection.close()
    times.elapsed += 2 * MEASURE_EVERY
    assert times.clock.now() == NOON + timedelta(seconds=2 * MEASURE_EVERY)
    assert connection.connection is None
    assert times.asked == 1


@pytest.mark.django_db(transaction=True)
def test_the_first_measure_gives_its_session_back() -> None:
    connection.close()
    SYSTEM.__class__().now()
    assert connection.connection is None


def test_the_databases_answer_is_its_present_time() -> None:
    """Within a transaction as well, whose beginning is what `now()` means to PostgreSQL."""
    first, second = ask_database(), ask_database()
    if connection.vendor == "postgresql":
        assert first
        assert second
        assert first < second
        assert abs(second - datetime.now(UTC)) < timedelta(seconds=1)
    else:
        assert (first, second) == (None, None)
        assert DatabaseClock().skew() == timedelta(0)
