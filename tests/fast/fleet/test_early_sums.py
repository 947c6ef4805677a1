"""What a clock that ran hours fast summed up too early is summed up again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from instances.fleet import history
from instances.models import CheckDay, CheckHour, HistoryProgress, Instance
from tests.factories import World
from tests.fast.fleet.test_history import DAY, HOUR, MONDAY, WORDS, available, checked, sums, to_the_end
from tests.fast.side_by_side import side_by_side


@pytest.fixture
def too_early(world: World) -> Callable[[], None]:
    """Everything until Tuesday was summed up at noon on Monday; to call it has that Monday go on otherwise.

    c1 was down in the afternoon, c2 was removed, c3 is new.
    """
    Instance.objects.all().delete()
    c1, c2 = world.instance("c1"), world.instance("c2")
    Instance.objects.update(created_at=MONDAY - DAY)
    for instance in (c1, c2):
        available(instance, MONDAY - DAY, "up")
        checked(instance, MONDAY + timedelta(minutes=1))
    history.keep(MONDAY + DAY + HOUR, to_the_end())
    assert [row[3] for row in sums(CheckDay, c1)] == [86_400]

    def goes_on() -> None:
        c3 = world.instance("c3")
        Instance.objects.filter(pk=c2.pk).update(decommissioned_at=MONDAY + 13 * HOUR)
        Instance.objects.filter(pk=c3.pk).update(created_at=MONDAY + 14 * HOUR)
        available(c1, MONDAY + 13 * HOUR, "down")
        available(c1, MONDAY + 16 * HOUR, "up")
        available(c3, MONDAY + 14 * HOUR, "up")
        for hour in range(12, 28):
            checked(
                c1, MONDAY + hour * HOUR, None if 13 <= hour < 16 else hour, "fail" if hour == 14 else "ok"
            )
            checked(c3, MONDAY + max(hour, 14) * HOUR, 7)

    return goes_on


def all_sums() -> dict[str, list[Any]]:
    hours = CheckHour.objects.order_by("at", "instance_id")
    return {
        "hours": list(hours.values_list("instance__customer_id", "at", *WORDS)),
        "days": list(CheckDay.objects.order_by("at", "instance_id").values_list("instance_id", "at", *WORDS)),
        "reached": list(HistoryProgress.objects.order_by("name").values_list("name", "at", "instance_id")),
    }


@pytest.mark.django_db(transaction=True)
def test_what_a_fast_clock_summed_up_too_early_is_summed_up_again(too_early: Callable[[], None]) -> None:
    later = MONDAY + DAY + 4 * HOUR

    def keep(now: datetime) -> None:
        wrong = side_by_side(*[lambda: history.keep(now, to_the_end())] * 2)
        assert not wrong, wrong

    keep(MONDAY + 12 * HOUR)
    too_early()
    keep(later)
    found = all_sums()
    for model in (CheckHour, CheckDay, HistoryProgress):
        model.objects.all().delete()
    keep(later)
    assert found == all_sums(), "as if the clock had never been wrong"
    assert CheckDay.objects.filter(down=3 * 3600, failures=1).exists()
