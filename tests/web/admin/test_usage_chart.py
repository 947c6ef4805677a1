"""What an instance used, on its page and in the list: drawn where it was read, and said in words."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from instances.admin.usage_chart import usage_charts
from instances.db.clock import SYSTEM
from instances.models import Instance, Usage, UsageDay, UsageHour
from tests.factories import World

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.filterwarnings("ignore:No directory at:UserWarning"),  # nobody collected static files here
]
MB = 1024**2
NOW = SYSTEM.now()
HOUR = NOW.replace(minute=0, second=0, microsecond=0)


def used(instance: Instance, hours_ago: int, **values: float) -> None:
    usual = {
        "seconds": 3600,
        "cpu_seconds": 1800,
        "memory_peak": 100 * MB,
        "disk_seconds": 1,
        "disk_peak": MB,
    }
    values = {**usual, **values}
    UsageHour.objects.create(instance=instance, at=HOUR - timedelta(hours=hours_ago), **values)


def last_read(instance: Instance, **values: Any) -> None:
    usual = {
        "next_read_at": NOW, "read_at": NOW, "hour": HOUR, "seconds": 60, "cpu_seconds": 60,
        "memory": 300 * MB, "memory_limit": 512 * MB, "memory_peak": 400 * MB, "cpu_percent": 99.5,
        "pids": 7, "pids_limit": 64, "disk": 2 * MB, "disk_read_at": NOW,
        "disk_seconds": 1, "disk_peak": 3 * MB,
    }  # fmt: skip
    Usage.objects.create(instance=instance, **{**usual, **values})


def test_hours_are_drawn_with_the_one_under_way_and_what_was_not_read_is_a_hole(world: World) -> None:
    instance, other = world.instance(), world.instance("c2")
    used(instance, 5)
    used(instance, 3, seconds=0, memory_peak=0)  # it did not run, and held its data
    used(instance, 400)
    used(other, 4, memory_peak=900 * MB)
    last_read(instance)
    cpu, memory, disk = usage_charts(instance, "1d", NOW)
    assert [len(chart.bars) for chart in (cpu, memory, disk)] == [2, 2, 3]
    assert (cpu.words, memory.words, disk.words) == (
        "Most CPUs of an hour: 1.00 CPUs.", "Most memory of an hour: 400 MB.", "Most disk of an hour: 3 MB.",
    )  # fmt: skip
    assert memory.bars[0].height * 4 == memory.bars[1].height


def test_an_hour_that_was_not_added_to_the_others_yet_is_drawn_all_the_same(world: World) -> None:
    last_read(instance := world.instance())
    cpu, _, _ = usage_charts(instance, "1d", NOW + timedelta(hours=1))
    assert len(cpu.bars) == 1


def test_a_container_that_rests_uses_no_cpu_in_a_number_that_people_read(world: World) -> None:
    last_read(instance := world.instance(), cpu_seconds=0.0025)
    assert usage_charts(instance, "1d", NOW)[0].words == "Most CPUs of an hour: 0.00 CPUs."


def test_a_month_is_drawn_in_parts_and_nothing_at_all_where_nothing_was_read(world: World) -> None:
    instance = world.instance()
    assert usage_charts(instance, "30d", NOW) == []
    for hours in range(24 * 29):
        used(instance, hours)
    bars = usage_charts(instance, "30d", NOW)[0].bars
    assert 100 < len(bars) < 24 * 29


def test_a_year_is_drawn_from_days_and_from_hours_that_are_in_none_yet(world: World) -> None:
    instance = world.instance()
    midnight = HOUR.replace(hour=0)
    for days in (1, 2, 300, 400):
        UsageDay.objects.create(
            instance=instance, at=midnight - timedelta(days=days), seconds=86400, cpu_seconds=864 * days,
            memory_peak=days * MB,
        )  # fmt: skip
    used(instance, 0, memory_peak=500 * MB)
    UsageHour.objects.create(
        instance=instance, at=midnight - timedelta(days=1), seconds=60, memory_peak=999 * MB
    )
    cpu, memory, _ = usage_charts(instance, "1y", NOW)
    assert 2 <= len(memory.bars) <= 3
    assert memory.words == "Most memory of an hour or a day: 500 MB."
    assert cpu.words == "Most CPUs of an hour or a day: 3.00 CPUs."


def test_the_page_and_the_list_say_what_it_uses(world: World, admin_client: Client) -> None:
    instance = world.instance()
    address = f"/admin/instances/instance/{instance.pk}/"
    assert "<dt>Memory" not in admin_client.get(f"{address}live/").content.decode()
    assert 'data-part="usage"' not in admin_client.get(f"{address}past/").content.decode()
    last_read(instance)
    world.plan.disk = 10 * MB
    world.plan.save()
    live = admin_client.get(f"{address}live/").content.decode()
    for words in ("99.5 % of one", "300 MB of 512 MB", "7 of 64", "2 MB of 10 MB"):
        assert words in live
    past = admin_client.get(f"{address}past/").content.decode()
    assert 'data-part="usage"' in past
    assert "Most memory of an hour: 400 MB." in past
    world.instance("c2")
    last_read(world.instance("c3"), disk=9 * MB, memory=1 * MB)
    by_disk = admin_client.get("/admin/instances/instance/?o=-11").content.decode()
    assert by_disk.index("9 MB") < by_disk.index(">2 MB")
