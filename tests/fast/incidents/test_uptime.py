"""Uptime is computed from what was written down, in the same few queries for one instance or many."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries

from instances import documents
from instances.admin.history import PERIODS, history
from instances.checks.record import record
from instances.incidents import uptime
from instances.incidents.uptime import UptimeLine, UptimeReport, report, uptime_percent
from instances.incidents.uptime_rules import Uptime
from instances.models import Instance, Operation, Plan, Transition
from instances.operations import service
from tests.factories import World, a_check, a_failure
from tests.fast.updates import answers_by_image, publish, update

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def became(world: World, instance: Instance, history: dict[float, str]) -> None:
    """The availability that began so many seconds ago."""
    for ago, availability in history.items():
        at = world.now - timedelta(seconds=ago)
        Transition.objects.create(instance=instance, at=at, availability=availability)


def restarted(world: World, instance: Instance, status: str, **changes: object) -> None:
    usual = {
        "kind": "restart",
        "automatic": True,
        "finished_at": world.now - timedelta(seconds=10),
        "created_at": world.now,
        "lease_expires_at": world.now,
        "facts": {"host_trouble": False} if status == "failed" else {},
    }
    Operation.objects.create(
        id=uuid.uuid4(), instance=instance, customer_id=instance.customer_id, status=status, **usual | changes
    )


def reported(world: World, seconds: float = 100) -> UptimeReport:
    return report(Instance.objects.present(), world.now - timedelta(seconds=seconds), world.now)


def uptimes(found: UptimeReport) -> dict[str, Uptime]:
    return {line.customer_id: line.uptime for line in found.lines}


def test_the_state_at_the_beginning_is_the_last_one_before(world: World) -> None:
    became(world, world.instance("c1"), {5000: "down", 4000: "up", 30: "down", 10: "up"})
    became(world, world.instance("c2"), {100: "down", 40: "up"})
    world.instance("c3")
    found = uptimes(reported(world))
    assert found["c1"] == Uptime(up=80, down=20, outages=1, recoveries=1, recovery_time=20)
    assert found["c2"] == Uptime(up=40, down=60, outages=1, recoveries=1, recovery_time=60)
    assert found["c3"] == Uptime()


def test_of_two_changes_in_a_moment_the_later_row_counts(world: World) -> None:
    instance = world.instance()
    became(world, instance, {200: "down"})
    became(world, instance, {200: "up"})
    became(world, instance, {50: "unknown"})
    became(world, instance, {50: "down"})
    found = uptimes(reported(world))["c1"]
    assert (found.up, found.down, found.unknown) == (50, 50, 0)


def test_while_an_update_had_stopped_a_customer_he_was_not_up(world: World) -> None:
    instance, began = world.instance(), world.now
    became(world, instance, {100: "up"})
    publish(world)
    answers_by_image(world, instance.port)
    assert update(world).status == "rolled_back"
    away = (world.now - began).total_seconds()
    found = uptimes(reported(world, 200))["c1"]
    assert away > world.plan.start_grace
    assert (found.up, found.outages) == (100, 0)
    assert found.unknown == pytest.approx(away)
    publish(world, "agent-3")
    done = update(world)
    times = {step["name"]: step for step in done.steps}
    assert done.status == "succeeded"
    changes = [change.at for change in uptime.changes_of(instance, began, world.now)][-2:]
    told = [times["stop old"]["started_at"], times["wait until healthy"]["finished_at"]]
    assert [documents.time(at) for at in changes] == told
    became(world, instance, {0: "down"})
    publish(world, "agent-4")
    known = Transition.objects.count()
    assert update(world).status == "succeeded"
    assert Transition.objects.count() == known, "who was down before was not up in between"


def test_what_the_sweeps_saw_is_what_is_reported(world: World) -> None:
    instance = world.instance()
    began = world.now
    for seen in [a_failure] * 3 + [a_check] * 2:
        world.clock.advance(60)
        instance.refresh_from_db()
        record([seen(world, instance)], world.now)
    world.clock.advance(60)
    service.pause("c1")
    world.clock.advance(60)
    [line] = report(Instance.objects.all(), began, world.now).lines
    assert line.uptime == Uptime(up=60, down=240, unwatched=60, outages=1, recoveries=1, recovery_time=240)


def test_automatic_restarts_of_the_period_are_counted_with_those_that_helped(world: World) -> None:
    instance = world.instance()
    restarted(world, instance, "succeeded")
    restarted(world, instance, "failed")
    restarted(world, instance, "failed", facts={"host_trouble": True})
    restarted(world, instance, "succeeded", automatic=False)
    restarted(world, instance, "succeeded", kind="update")
    restarted(world, instance, "succeeded", finished_at=world.now - DAY)
    restarted(world, world.instance("c2"), "succeeded", finished_at=world.now)
    found = uptimes(reported(world))
    assert [(found[c].restarts, found[c].restarts_helped) for c in ("c1", "c2")] == [(2, 1), (1, 1)]


def test_plans_and_the_whole_fleet_are_sums(world: World) -> None:
    small = Plan.objects.create(name="a-small-one", image="a")
    for customer_id in ("c1", "c2", "c3"):
        became(world, world.instance(customer_id), {100: "up"})
    became(world, Instance.objects.get(customer_id="c3"), {50: "down"})
    Instance.objects.filter(customer_id="c1").update(plan=small)
    found = reported(world)
    plans = {plan: [line.customer_id for line in lines] for plan, lines in found.plans.items()}
    assert plans == {"a-small-one": ["c1"], "pro": ["c2", "c3"]}
    assert list(plans) == ["a-small-one", "pro"]
    assert (found.total.up, found.total.down, found.total.outages) == (250, 50, 1)
    assert found.total.percent == 83.3333


def test_a_report_is_five_queries_and_a_list_two_whatever_the_number(
    world: World, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    instances = [world.instance(f"c{number}") for number in range(5)]
    for instance in instances:
        became(world, instance, {200: "up", 50: "down", 25: "up"})
        restarted(world, instance, "succeeded")
    with django_assert_num_queries(5):
        assert reported(world).total.restarts == 5
    with django_assert_num_queries(2):
        percents = uptime_percent(
            [i.pk for i in instances[:4]], world.now - timedelta(seconds=100), world.now
        )
    assert percents == {i.pk: 75.0 for i in instances[:4]}


def test_what_is_not_known_has_no_percentage(world: World) -> None:
    instance = world.instance()
    assert uptime_percent([instance.pk], world.now - DAY, world.now) == {instance.pk: None}
    became(world, instance, {50: "unwatched"})
    assert uptime_percent([instance.pk], world.now - DAY, world.now) == {instance.pk: None}
    assert uptime_percent([], world.now - DAY, world.now) == {}


def test_who_is_provisioned_while_a_report_is_made_breaks_none(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.instance("c1")
    lines = uptime._long_lines

    def late(*asked: Any) -> Iterator[UptimeLine]:
        world.instance("c2")
        return lines(*asked)

    monkeypatch.setattr(uptime, "_long_lines", late)
    told = report(Instance.objects.all(), world.now - DAY, world.now)
    assert [line.customer_id for line in told.lines] == ["c1", "c2"]


def test_the_chart_of_one_that_has_just_been_removed_has_no_uptime(world: World) -> None:
    instance = world.instance()
    Instance.objects.all().delete()
    assert history(instance, next(iter(PERIODS)), world.now, 60.0).uptime_percent is None
