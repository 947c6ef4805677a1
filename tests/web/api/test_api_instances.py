"""Over HTTP: the fleet in pages, one instance, its history, and taking it out of watch."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from instances.models import Health, HealthCheck, Host, Instance, Transition
from tests.factories import SECRET, World
from tests.web.callers import OVER_HTTP, Caller

pytestmark = OVER_HTTP


def ids(document: Any) -> list[str]:
    return [row["customer_id"] for row in document["items"]]


def test_pages_follow_each_other_until_there_is_no_next(world: World, caller: Caller) -> None:
    names = [f"c{number}" for number in range(7)]
    for name in reversed(names):
        world.instance(name)
    seen, cursor = [], ""
    for more in (True, True, False):
        page = caller.get(f"/instances?limit=3{cursor}").document
        seen.append(ids(page))
        assert (page["next"] is not None) is more
        cursor = f"&cursor={page['next']}"
    assert seen == [names[:3], names[3:6], names[6:]]


def test_a_page_that_is_just_full_is_the_last(world: World, caller: Caller) -> None:
    world.instance("c1")
    world.instance("c2")
    page = caller.get("/instances?limit=2").document
    assert (ids(page), page["next"]) == (["c1", "c2"], None)


FILTERS = [
    ("status=failed", ["c2"]),
    ("status=healthy&host=far", ["far"]),
    ("host=local", ["c1", "c2"]),
    ("plan=pro", ["c1", "c2", "far"]),
    ("plan=free", []),
    ("host=nowhere", []),
    ("q=c1", ["c1"]),
    ("q=far.example", ["far"]),
]


def test_filters_are_combined(world: World, caller: Caller) -> None:
    host = Host.objects.create(name="far", docker_url="unix:///fake/far.sock")
    world.instance("c1")
    world.instance("c2", status="failed")
    world.instance("far", host=host)
    for query, expected in FILTERS:
        assert ids(caller.get(f"/instances?{query}").document) == expected, query


def test_an_instance_is_shown_without_its_environment(world: World, caller: Caller) -> None:
    world.instance("c1")
    answer = caller.get("/instances/c1")
    assert (answer.status, answer.document["access_url"]) == (200, "http://127.0.0.1:20000")
    assert SECRET not in answer.text
    assert "env" not in answer.document
    assert answer.headers["Cache-Control"] == "no-store"


def test_volumes_that_another_release_noted_otherwise_cost_no_list(world: World, caller: Caller) -> None:
    for name, volumes in (("c1", {"data": None}), ("c2", {"data": "/data"})):
        Instance.objects.filter(pk=world.instance(name).pk).update(volumes=volumes)
    shown = caller.get("/instances").document["items"]
    assert [row["volumes"] for row in shown] == [{}, {"data": "/data"}]


def test_decommissioned_instances_are_not_shown(world: World, caller: Caller) -> None:
    world.instance("c1")
    world.decommission()
    assert ids(caller.get("/instances").document) == []
    answer = caller.get("/instances/c1")
    assert (answer.status, answer.kind) == (404, "unknown")
    assert answer.document["detail"] == "There is no instance of customer c1."


def test_the_history_comes_in_pages_back_to_a_time(world: World, caller: Caller) -> None:
    instance = world.instance("c1")
    for minutes in (1, 2, 3, 90):
        HealthCheck.objects.create(
            instance=instance,
            outcome="ok",
            status="healthy",
            consecutive_failures=0,
            latency_ms=minutes,
            checked_at=world.now - timedelta(minutes=minutes),
        )
    first = caller.get("/instances/c1/history?since=1h&limit=2").document
    second = caller.get(f"/instances/c1/history?since=1h&limit=2&cursor={first['next']}").document
    assert [row["latency_ms"] for row in first["items"]] == [1, 2]
    assert ([row["latency_ms"] for row in second["items"]], second["next"]) == ([3], None)
    assert len(caller.get("/instances/c1/history").document["items"]) == 4
    assert len(caller.get("/instances/c1/history?since=2026-03-01T11:58:30Z").document["items"]) == 1


def test_the_past_is_summed_up_by_hour_and_day(world: World, caller: Caller) -> None:
    instance = world.instance("c1")
    Transition.objects.all().delete()
    noon = world.now
    changes = ((26, "up"), (2, "down"), (1, "up"))  # hours before noon
    for hours, availability in changes:
        Transition.objects.create(
            instance=instance, at=noon - timedelta(hours=hours), availability=availability
        )
    for minutes, outcome, latency in (
        (100, "fail", None),
        (50, "ok", 10),
        (40, "ok", 21),
        (30, "unknown", None),
    ):
        HealthCheck.objects.create(
            instance=instance, outcome=outcome, status="healthy", consecutive_failures=0, latency_ms=latency,
            checked_at=noon - timedelta(minutes=minutes),
        )  # fmt: skip
    days = caller.get("/instances/c1/history/sums").document["items"]
    assert [row["at"][:10] for row in days] == [f"{noon:%Y-%m-%d}", f"{noon - timedelta(days=1):%Y-%m-%d}"]
    assert (days[0]["uptime_percent"], days[0]["uptime_seconds"]) == (91.6667, 11 * 3600)
    hours = caller.get("/instances/c1/history/sums?by=hour&since=2h").document["items"]
    assert hours[0] == {
        "at": f"{noon - timedelta(hours=1):%Y-%m-%dT%H}:00:00Z", "checks": 3, "failures": 0, "unknown": 1,
        "uptime_percent": 100.0, "uptime_seconds": 3600.0, "downtime_seconds": 0.0,
        "latency_min_ms": 10, "latency_avg_ms": 16, "latency_max_ms": 21,
    }  # fmt: skip
    assert (hours[1]["failures"], hours[1]["uptime_percent"], hours[1]["latency_avg_ms"]) == (1, 0.0, None)
    assert len(hours) == 2


def test_pausing_takes_an_instance_out_of_watch_and_resuming_back(world: World, caller: Caller) -> None:
    instance = world.instance("c1")
    paused = caller.post("/instances/c1/pause", {"reason": "moving"})
    assert (paused.status, paused.document["status"]) == (200, "paused")
    assert Health.objects.get(instance=instance).status == "paused"
    assert caller.post("/instances/c1/resume").document["status"] == "unknown"


def test_a_busy_instance_is_not_paused(world: World, caller: Caller) -> None:
    world.instance("c1", status="restarting")
    answer = caller.post("/instances/c1/pause")
    assert (answer.status, answer.kind, answer.headers["Retry-After"]) == (409, "busy", "5")


def test_the_fleet_is_listed_in_a_bounded_number_of_queries(
    world: World, caller: Caller, django_assert_max_num_queries: Any
) -> None:
    for number in range(20):
        world.instance(f"c{number}")
    with django_assert_max_num_queries(4):
        assert len(caller.get("/instances").document["items"]) == 20
    assert Instance.objects.count() == 20
