"""What containers use is read evenly, by one process each, added up over restarts, and told near limits."""

from __future__ import annotations

import csv
import io
import json
import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import QuerySet

from instances.checks.record import record
from instances.containers.facts import ContainerUsage
from instances.db.locks import has_row_locks
from instances.fleet.retention import purge
from instances.lib.calendar import HOUR, hour_of
from instances.models import Host, Incident, IncidentEvent, Instance, Notification, Usage, UsageDay, UsageHour
from instances.monitoring import usage, usage_report
from instances.monitoring.usage import UsageReader, interval
from instances.monitoring.usage_report import report, roll_up
from instances.operations.last_words import keep_of_death
from tests.factories import World, a_failure
from tests.fast.conftest import Run
from tests.fast.telling import a_channel, outbox, told_after

pytestmark = pytest.mark.django_db
EVERY = timedelta(seconds=60)
MB = 1024**2


def uses(world: World, customer_id: str = "c1", **usage: Any) -> None:
    """What the container uses from now on."""
    usual = {"cpu_ns": 10**9, "memory": 100 * MB, "memory_limit": 512 * MB, "pids": 5}
    world.engine.uses[f"dockmgr-{customer_id}"] = ContainerUsage(**{**usual, **usage})


def turn(world: World, seconds: float = 60) -> None:
    """A process that reads, a while later."""
    world.clock.advance(seconds)
    UsageReader(world.outside, EVERY).turn()


def used(world: World, **wanted: Any) -> dict[str, Any]:
    [row] = report(world.now - timedelta(days=40), world.now)
    return {name: row[name] for name in wanted}  # type: ignore[literal-required]


def test_readings_add_up_over_a_restart_and_a_container_made_anew(world: World) -> None:
    instance = world.instance()
    for cpu, received in ((100, 1000), (160, 1500), (20, 100), (50, 200)):  # seconds; restarted in between
        uses(world, cpu_ns=cpu * 10**9, received=received)
        turn(world)
    instance.container_id = world.engine.create(replace(instance.spec(), name="dockmgr-c1x", host_port=0))
    world.engine.start(instance.container_id)
    instance.save()
    uses(world, "c1x", cpu_ns=7 * 10**9)
    turn(world)
    expected = {"cpu_seconds": 60 + 20 + 30 + 7, "received_bytes": 700, "running_seconds": 240}
    assert used(world, **expected) == expected
    assert Usage.objects.get().cpu_percent == 11.7


def test_what_a_throwaway_instance_uses_is_nobodys(world: World) -> None:
    for name in ("kept", "tried"):
        world.instance(name)
        uses(world, name)
    Instance.objects.filter(customer_id="tried").update(expires_at=world.now + timedelta(hours=1))
    for _ in range(2):
        turn(world)
    assert Usage.objects.exclude(read_at=None).count() == 2
    assert [row["customer_id"] for row in report(world.now - timedelta(hours=1), world.now)] == ["kept"]


def test_a_reading_that_is_written_after_a_newer_one_bills_nothing_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process, or its machine, stood still between reading and writing."""
    world.instance()
    uses(world, cpu_ns=100 * 10**9, received=1000)
    turn(world)
    read, late = usage.read, iter([True])

    def read_and_stand_still(*args: Any) -> Any:
        found = read(*args)
        if next(late, False):
            uses(world, cpu_ns=130 * 10**9, received=1500)
            turn(world, 90)
        return found

    monkeypatch.setattr(usage, "read", read_and_stand_still)
    turn(world)
    uses(world, cpu_ns=140 * 10**9, received=1600)
    turn(world)
    expected = {"cpu_seconds": 40, "received_bytes": 600}
    assert used(world, **expected) == expected


def test_a_network_that_is_taken_away_bills_nothing_again(world: World) -> None:
    world.instance()
    uses(world, cpu_ns=2_592_000 * 10**9, received=50_000_000, cpus=4)
    turn(world)
    uses(world, cpu_ns=2_592_030 * 10**9, received=1000, cpus=4)
    turn(world)
    expected = {"cpu_seconds": 30, "received_bytes": 0}
    assert used(world, **expected) == expected
    assert Usage.objects.get().cpu_percent == 50


def test_after_a_gap_the_cpu_is_that_of_the_whole_gap(world: World) -> None:
    world.instance()
    for used_cpu, later in ((1, 60), (5401, 10800)):
        uses(world, cpu_ns=used_cpu * 10**9)
        turn(world, later)
    row = Usage.objects.get()
    assert (row.cpu_percent, row.seconds) == (50, 2 * EVERY.total_seconds())


def test_each_reading_is_made_once_and_spread_over_the_interval(world: World) -> None:
    for number in range(4):
        world.instance(f"c{number}")
    one, other = (UsageReader(world.outside, EVERY) for _ in range(2))
    read: list[int] = []
    for _ in range(12):
        before = Usage.objects.exclude(read_at=None).count()
        one.turn()
        other.turn()
        read.append(Usage.objects.exclude(read_at=None).count() - before)
        world.clock.advance(5)
    assert read == [1, 0, 0] * 4


@pytest.mark.parametrize(("instances", "seconds"), [(1, 60), (180, 60), (181, 60.333333), (500, 166.666667)])
def test_a_full_host_is_read_less_often(instances: int, seconds: float) -> None:
    assert interval(EVERY, instances) == timedelta(seconds=seconds)


def test_an_engine_is_read_no_faster_than_it_can_be(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage, "A_SECOND", 0.05)
    small = Host.objects.create(
        name="small", docker_url="unix:///fake/small.sock", first_port=30000, last_port=30999
    )
    few = world.instance("few", host=small)
    for number in range(6):
        world.instance(f"c{number}")
    reader, read = UsageReader(world.outside, EVERY), list[int]()

    def made() -> set[tuple[int, Any]]:
        return set(Usage.objects.exclude(read_at=None).values_list("pk", "read_at"))

    for _ in range(24):
        before = made()
        reader.turn()
        read += [pk for pk, _ in made() - before]
        world.clock.advance(10)
    times = Counter(read)
    assert times.pop(few.pk) >= 3
    assert list(times.values()) == [2] * 6


@pytest.mark.parametrize("why", ["stopped", "unreachable", "paused"])
def test_what_does_not_run_or_can_t_be_asked_says_nothing(world: World, why: str) -> None:
    instance = world.instance()
    turn(world)
    assert Usage.objects.get().read_at == world.now
    if why == "stopped":
        world.engine.change(instance.container_id, state="exited")
    elif why == "unreachable":
        world.engine.unreachable = True
    else:
        instance.health.status = "paused"
        instance.health.save()
    turn(world)
    assert Usage.objects.get().read_at == world.now - EVERY


def test_hours_and_days_are_rolled_up_and_the_sums_stay(world: World) -> None:
    world.instance()
    for hour in range(26):
        uses(world, cpu_ns=hour * 10**9, memory=(100 + hour) * MB)
        turn(world, 3600)
    world.clock.advance(60)
    total = used(world, cpu_seconds=0, memory_peak_bytes=0)
    assert total == {"cpu_seconds": 25, "memory_peak_bytes": 125 * MB}
    assert UsageHour.objects.count() == 24
    assert (roll_up(world.now), roll_up(world.now)) == (1, 1), "yesterday once more"
    assert UsageDay.objects.get().cpu_seconds == sum(
        hour.cpu_seconds
        for hour in UsageHour.objects.filter(at__lt=UsageDay.objects.get().at + timedelta(days=1))
    )
    world.clock.advance(86400 * 37)
    roll_up(world.now)
    purge(world.now)
    assert (UsageHour.objects.count(), UsageDay.objects.count()) == (0, 2)
    assert used(world, cpu_seconds=0, memory_peak_bytes=0) == total


@pytest.mark.parametrize("hours", [2, 13])
def test_a_clock_that_runs_fast_for_a_while_loses_nothing(world: World, hours: int) -> None:
    world.instance()
    halves = 29  # of hours, from noon until after midnight
    for half in range(halves):
        uses(world, cpu_ns=half * 1800 * 10**9, memory=(300 - half) * MB)
        fast = hours * 3600 if half == 2 else 0
        turn(world, fast)
        if fast:
            roll_up(world.now)
        world.clock.advance(1800 - fast)
    everything = {"cpu_seconds": (halves - 1) * 1800, "memory_peak_bytes": 300 * MB}
    assert used(world, **everything) == everything
    roll_up(world.now)
    [day] = UsageDay.objects.order_by("at")[:1]
    of_day = UsageHour.objects.filter(at__lt=day.at + timedelta(days=1))
    assert day.cpu_seconds == sum(hour.cpu_seconds for hour in of_day) > 10 * 3600
    assert day.memory_peak == 300 * MB


@pytest.mark.django_db(transaction=True)
def test_a_reading_that_waited_for_its_row_sets_no_hour_back(world: World) -> None:
    instance = world.instance()
    usage.add_rows(world.now, EVERY)
    hour = hour_of(world.now) + HOUR
    for cpu, seconds in ((10, -60), (20, 0.05), (30, -0.02)):
        reading = ContainerUsage(cpu_ns=cpu * 10**9, memory=MB)
        readings = {instance.pk: (instance.container_id, reading)}
        usage.write(readings, hour + timedelta(seconds=seconds), EVERY, asked_at=hour + EVERY)
    row = Usage.objects.get()
    assert (row.hour, row.cpu_seconds) == (hour, 20)


def test_an_engine_that_says_what_no_column_holds_costs_no_other_its_reading(world: World) -> None:
    liar, honest = world.instance("liar"), world.instance("honest")
    turn(world)
    for number in range(4):  # each time as if started anew
        uses(world, "liar", cpu_ns=10 - number, received=2**63 - 1, periods=2**63 - 1, memory=2**63 - 1)
        uses(world, "honest", cpu_ns=(number + 1) * 10**9)
        turn(world)
    world.clock.advance(86400)
    assert roll_up(world.now) == 2
    found = dict(UsageDay.objects.values_list("instance", "received"))
    assert found == {liar.pk: 4 * 2**45, honest.pk: 0}


def test_the_command_and_the_table_say_the_same(world: World, run: Run) -> None:
    for name in ("c1", "c2"):
        world.instance(name)
    turn(world)
    turn(world)
    for name in ("c1", "c2"):
        uses(world, name, cpu_ns=61 * 10**9)
    turn(world)
    rows = json.loads(run("usage", "--json").out)
    assert [(row["customer_id"], row["cpu_seconds"], row["memory_peak_bytes"]) for row in rows] == [
        ("c1", 60.0, 100 * MB), ("c2", 60.0, 100 * MB),
    ]  # fmt: skip
    table = list(csv.DictReader(io.StringIO(run("usage", "--csv").out)))
    assert [{name: str(value) for name, value in row.items()} for row in rows] == table
    assert "c1" in run("usage", "--customer-id", "c1").out
    assert run("decommission", "--customer-id", "c2").code == 0
    assert [row["customer_id"] for row in run("usage", "--customer-id", "c2", "--json").document] == ["c2"]
    assert run("usage", "--customer-id", "nobody").code == run("usage", "--csv", "--json").code == 2


@pytest.mark.parametrize(
    ("usage", "cause", "words"),
    [
        ({"memory": 480 * MB}, "memory", "480 MB of its 512 MB"),
        ({"pids": 60, "pids_limit": 64}, "pids", "60 of its 64"),
    ],
)
def test_what_is_near_its_limit_for_three_readings_is_told_once_and_when_it_is_over(
    world: World, usage: dict[str, Any], cause: str, words: str
) -> None:
    a_channel()
    world.instance()
    uses(world, **usage)
    for _ in range(2):
        turn(world)
    assert not Incident.objects.exists()
    for _ in range(3):
        turn(world)
    incident = Incident.objects.get()
    assert (incident.kind, incident.cause, incident.severity) == ("resources", cause, "warning")
    assert words in incident.message
    assert told_after(world, 1) == ["ops opened warning c1"]
    uses(world)
    turn(world)
    incident.refresh_from_db()
    assert not incident.is_open
    told_after(world, 60)
    assert len(outbox()) == 2


def test_a_cpu_limit_that_holds_back_for_most_of_an_hour_is_told(world: World) -> None:
    world.instance()
    for minute in range(0, 180, 20):
        uses(world, periods=600 * minute, throttled=500 * min(minute, 60))
        turn(world, 1200)
    incident = Incident.objects.get()
    assert (incident.cause, incident.is_open) == ("throttled", False)


def test_a_death_says_how_much_memory_was_used_in_its_incident_and_in_the_message(world: World) -> None:
    a_channel()
    instance = world.instance()
    uses(world, memory=512 * MB)
    turn(world)
    world.clock.advance(20)
    for _ in range(3):
        [recorded], _ = record([a_failure(world, instance, "oom_killed")], world.now)
        keep_of_death(recorded, world.outside)
        world.clock.advance(60)
    used = "at 512 MB of 512 MB of memory when it died, read 20 s before"
    assert IncidentEvent.objects.get(kind="resources").text == used
    assert told_after(world, 120)
    assert Notification.objects.get().payload["message"].endswith(f" It was {used}.")


@pytest.mark.django_db(transaction=True)
def test_an_hour_that_ends_while_a_report_is_made_is_in_it_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.instance()
    for cpu in (100, 130):
        uses(world, cpu_ns=cpu * 10**9)
        turn(world)
    over = world.now + HOUR
    by_customer = usage_report._by_customer

    def end_hour() -> None:
        roll_up(over)
        connection.close()

    ends = threading.Thread(target=end_hour)

    def slowly(rows: QuerySet[Any], customer_id: str | None) -> Iterable[dict[str, Any]]:
        if rows.model is Usage:
            ends.start()
            ends.join(None if has_row_locks() else 0.1)  # where there is one writer, it waits for no reader
        return by_customer(rows, customer_id)

    monkeypatch.setattr(usage_report, "_by_customer", slowly)
    assert used(world, cpu_seconds=0) == {"cpu_seconds": 30}
    ends.join()
    monkeypatch.undo()
    assert used(world, cpu_seconds=0) == {"cpu_seconds": 30}
