"""How many instances are shown as what: counted the quick way, and one by one."""

from __future__ import annotations

from collections import Counter

import pytest

from instances.admin import dashboard
from instances.health.state import Status
from instances.models import Health, Instance
from instances.models.counting import count_by
from instances.models.instance import LEAVING
from tests.factories import World

pytestmark = pytest.mark.django_db


def one_by_one(*columns: str) -> Counter[tuple[object, ...]]:
    rows = Instance.objects.present().select_related("health")
    return Counter(
        (*(getattr(row, column) for column in columns), LEAVING if row.leaving_at else row.health.status)
        for row in rows
    )


def test_every_way_of_being_is_counted_where_it_belongs(world: World) -> None:
    for number, status in enumerate([*Status, Status.HEALTHY, Status.FAILED, Status.HEALTHY]):
        row = world.instance(f"c{number}")
        Health.objects.filter(pk=row.pk).update(status=status)
    of = Instance.objects.filter
    of(customer_id__in=("c2", "c5")).update(leaving_at=world.now)
    of(customer_id__in=("c4", "c8")).update(decommissioned_at=world.now)
    assert count_by("host_id") == one_by_one("host_id")
    assert count_by("host_id")[world.host.pk, LEAVING] == 2
    assert count_by("plan_id", "host_id") == one_by_one("plan_id", "host_id")


def test_the_slowest_are_present_however_many_former_ones_were_slower(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dashboard, "CANDIDATES", 3)
    monkeypatch.setattr(dashboard, "ROWS_SHOWN", 2)
    for number in range(6):
        Health.objects.filter(pk=world.instance(f"c{number}").pk).update(latency_ms=number)
    Health.objects.filter(pk=world.instance("unknown").pk).update(latency_ms=None)

    def slowest() -> list[str]:
        return [health.instance.customer_id for health in dashboard._slowest()]

    assert slowest() == ["c5", "c4"]
    Instance.objects.filter(customer_id__in=("c5", "c3")).update(decommissioned_at=world.now)
    assert slowest() == ["c4", "c2"]
