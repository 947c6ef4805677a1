"""Public addresses are asked on a rota; what many share is one incident, and nothing is restarted for it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from django.db.models import Value
from django.db.models.functions import Concat
from msgspec import structs
from pytest_django.fixtures import Settings

from instances.health.response import PROBER, Outcome
from instances.http.certificate import Certificate
from instances.http.probe import Address, ProbeResult
from instances.models import (
    Health,
    Host,
    Incident,
    Instance,
    Notification,
    Operation,
    OutsideCheck,
    OutsideTransition,
    Plan,
)
from instances.monitoring import outside as rota
from instances.monitoring.outside import Rota, add_rows, look_at
from instances.operations import service
from tests.factories import World
from tests.fakes.outside import Killed, fails, passes
from tests.fast.conftest import Run
from tests.fast.telling import a_channel, outbox, told_after

pytestmark = pytest.mark.django_db
EVERY = timedelta(minutes=3)
STEP = 60  # seconds
PROXY = ("203.0.113.7",)


@pytest.fixture(autouse=True)
def public(world: World, settings: Settings) -> None:
    settings.OUTSIDE_INTERVAL = EVERY.total_seconds()
    Plan.objects.update(public_url="https://{subdomain}")
    world.plan.refresh_from_db()


def url(name: str) -> str:
    return f"https://{name}.example.com/healthz"


def customers(world: World, *names: str, host: Host | None = None) -> list[Instance]:
    for name in names:
        answers(world, name, passes())
    return [world.instance(name, host=host) for name in names]


def answers(world: World, name: str, result: ProbeResult, places: tuple[str, ...] | None = PROXY) -> None:
    world.probe.answers[url(name)] = structs.replace(result, places=places)


def watch(world: World, minutes: float = 1, processes: int = 1, step: float = STEP) -> None:
    """Processes that watch for so long, by turns; looks and judgements of all of them."""
    watching = [Rota(world.outside, EVERY) for _ in range(processes)]
    for _ in range(int(minutes * 60 / step)):
        for each in watching:
            each.turn()
        world.clock.advance(step)


def asked_already(world: World, *failed: str) -> None:
    """All are due, for the second time; these have failed twice, in the last two minutes."""
    add_rows(world.now, EVERY)
    rows, minute = OutsideCheck.objects.all(), timedelta(minutes=1)
    rows.update(next_at=world.now, asked_at=world.now - minute, outcome="ok")
    rows.filter(instance__customer_id__in=failed).update(
        outcome="fail", failures=2, failing_since=world.now - 2 * minute
    )


def open_ones() -> list[str]:
    return sorted(Incident.objects.open().filter(kind="outside").values_list("key", flat=True))


def test_everybody_is_asked_once_an_interval_and_evenly(world: World) -> None:
    names = [f"c{number}" for number in range(9)]
    customers(world, *names)
    asked: list[str] = []

    def noted(name: str) -> Callable[[], ProbeResult]:
        def answer() -> ProbeResult:
            asked.append(name)
            return structs.replace(passes(), places=PROXY)

        return answer

    world.probe.answers |= {url(name): noted(name) for name in names}
    watch(world, 1, processes=2, step=20)
    assert asked == names[:3]
    watch(world, 2, processes=2, step=20)
    assert asked == names
    watch(world, 1, step=20)
    assert asked == [*names, *names[:3]]


def test_who_is_asked_by_a_process_that_dies_is_asked_by_another_soon(world: World) -> None:
    def dies() -> ProbeResult:
        raise Killed

    customers(world, "c1", "c2")
    Rota(world.outside, EVERY).turn()
    world.clock.advance(EVERY.total_seconds())
    world.probe.answers[url("c2")] = dies
    with pytest.raises(Killed):
        Rota(world.outside, EVERY).turn()
    asked_at = set(OutsideCheck.objects.values_list("asked_at", flat=True))
    answers(world, "c2", passes())
    watch(world, minutes=1, processes=2, step=20)
    rows = OutsideCheck.objects.all()
    assert len(rows) == 2 and all(row.asked_at not in asked_at for row in rows)


def test_who_has_no_address_or_is_not_looked_after_is_left_alone(world: World) -> None:
    gone, paused, without, trial = customers(world, "gone", "paused", "without", "trial")
    watch(world)
    assert OutsideCheck.objects.count() == 4
    gone.leaving_at = trial.expires_at = world.now
    gone.save()
    trial.save()
    paused.health.status = "paused"
    paused.health.save()
    others = Plan.objects.exclude(pk=world.plan.pk)
    others.update(public_url="")
    without.plan = others.order_by("pk")[0]
    without.save()
    watch(world, 2)
    assert not OutsideCheck.objects.exists()


def test_one_address_that_fails_is_one_warning_by_its_cause(world: World) -> None:
    a_channel()
    customers(world, *(f"w{number}" for number in range(4)), "c1")
    watch(world, 3)
    answers(world, "c1", fails("tls"))
    watch(world, 7)
    incident = Incident.objects.get()
    assert (incident.key, incident.cause, incident.severity) == ("outside:customer:c1", "tls", "warning")
    assert "TLS is at fault for https://c1.example.com/healthz" in incident.message
    told_after(world, 0)
    assert outbox() == ["ops opened warning c1"]
    assert not Operation.objects.exists(), "nothing is restarted"
    answers(world, "c1", passes())
    watch(world, 3)
    assert open_ones() == []
    told_after(world, 0)
    assert outbox() == ["ops opened warning c1", "ops resolved info c1"]


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("answers", "customers get through again"),
        ("dies", "what is left of it is told by itself"),
        ("has no address", "it is not asked any more"),
        ("is paused", "paused"),
    ],
)
def test_the_end_says_only_what_was_seen(world: World, how: str, told: str) -> None:
    customers(world, "c1")
    answers(world, "c1", fails("tls"))
    asked_already(world, "c1")
    watch(world, 1)
    assert open_ones() == ["outside:customer:c1"]
    if how == "answers":
        answers(world, "c1", passes())
    elif how == "dies":
        Health.objects.filter(instance__customer_id="c1").update(status="unhealthy", reason="exited")
    elif how == "is paused":
        service.pause("c1")
    else:
        other = Plan.objects.create(name="inside", image="x", cpus=1, memory=1024**2)
        Instance.objects.filter(customer_id="c1").update(plan=other)
    watch(world, 1)
    incident = Incident.objects.get(kind="outside")
    assert (incident.is_open, incident.resolution) == (False, told)


def test_a_proxy_that_fails_many_is_one_message_with_their_number(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rota, "AT_ONCE", 4)
    a_channel()
    there = Host.objects.create(name="h2", docker_url="tcp://h2:2376")
    names = [f"c{number}" for number in range(6)]
    customers(world, *names[:3])
    customers(world, *names[3:], host=there)
    customers(world, "other")
    answers(world, "other", passes(), ("198.51.100.1",))
    for name in names:
        answers(world, name, fails("http_502"))
    asked_already(world, *names)
    for _ in range(4):
        watch(world, 1)
        told_after(world, 0)
    assert open_ones() == ["outside:proxy:203.0.113.7"]
    assert outbox() == ["ops opened critical outside:proxy:203.0.113.7"]
    message = Incident.objects.open().get().message
    at_fault = "The proxy at 203.0.113.7 is at fault for 6 customers."
    assert message.startswith(f"{at_fault} One of them: the app itself is well, but https://c0.example.com/")
    for name in names:
        answers(world, name, passes())
    watch(world, 4)
    told_after(world, 0)
    assert open_ones() == []
    assert len(outbox()) == 2


def test_a_way_to_one_host_behind_a_proxy_of_all_is_told_as_that_and_once(world: World) -> None:
    a_channel()
    there = Host.objects.create(name="h2", docker_url="tcp://h2:2376")
    here, behind = ["c0", "c1", "c2", "c3"], ["c4", "c5", "c6"]
    customers(world, *here)
    customers(world, *behind, host=there)
    answers(world, "c0", fails("http_404"))
    asked_already(world, "c0")
    watch(world, 3)
    told_after(world, 0)
    assert outbox() == ["ops opened warning c0"]
    for name in behind:
        answers(world, name, fails("http_504"))
    for _ in range(7):
        watch(world, 1)
        told_after(world, 0)
    assert outbox()[1:] == ["ops opened critical outside:host:h2"]
    incident = Incident.objects.open().get(severity="critical")
    assert incident.message.startswith("The way from the proxy to host h2 is at fault for 3 customers. One")
    [told] = Notification.objects.filter(incident=incident)
    assert told.payload["title"] == "The way from the proxy to host h2 is at fault for many"
    assert told.payload["next_step"].startswith("See whether the proxy reaches host h2: address, route")
    for name in behind:
        answers(world, name, passes())
    watch(world, 4)
    told_after(world, 0)
    assert outbox()[2:] == ["ops resolved info outside:host:h2"]
    assert open_ones() == ["outside:customer:c0"]


@pytest.mark.parametrize("reason", ["no names", "no way out"])
def test_when_nobody_gets_through_anywhere_it_may_be_our_own_way_out(world: World, reason: str) -> None:
    names = ["c1", "c2", "c3"]
    for number, row in enumerate(customers(world, *names)):
        Instance.objects.filter(pk=row.pk).update(subdomain=f"www.{row.customer_id}.org")
        told = structs.replace(fails("timeout"), places=(f"203.0.113.{number}",))
        if reason == "no names":
            told = ProbeResult(Outcome.UNKNOWN, PROBER, None, 5, None, "No resolver.", None)
        world.probe.answers[f"https://www.{row.customer_id}.org/healthz"] = told
    asked_already(world, *names)
    OutsideCheck.objects.update(proxy=Concat(Value("203.0.113."), "pk"))  # seen when they were well
    watch(world, 1)
    assert open_ones() == ["outside:all:"]
    assert "dockmgr's own network" in Incident.objects.open().get().message


def test_what_is_ill_inside_is_told_by_those_who_look_there(world: World) -> None:
    [instance] = customers(world, "c1")
    instance.health.status = "restarting"
    instance.health.save()
    answers(world, "c1", fails("http_502"))
    watch(world, 4)
    assert OutsideCheck.objects.get().failures > 3
    assert not Incident.objects.exists()
    assert OutsideTransition.objects.get().availability == "down", "the customer sees it all the same"


def test_uptime_as_customers_saw_it_stands_beside_that_inside(world: World, run: Run) -> None:
    customers(world, "c1", "quiet")
    answers(world, "quiet", ProbeResult(Outcome.UNKNOWN, PROBER, None, 5, None, "No sockets.", ()))
    watch(world, 3)
    answers(world, "c1", fails("http_502"))
    watch(world, 3)
    document = json.loads(run("uptime", "--since", "6m", "--json").out)
    seen = {row["customer_id"]: row["outside"] for row in document["instances"]}
    assert 40 < seen["c1"]["uptime_percent"] < 75
    assert seen["quiet"]["uptime_percent"] is None
    assert document["all"]["outside"]["outages"] == 1
    assert "from outside" in run("uptime", "--since", "6m").out
    Plan.objects.update(public_url="")
    OutsideTransition.objects.all().delete()
    assert json.loads(run("uptime", "--json").out)["all"]["outside"] is None


def test_a_certificate_nobody_renewed_is_told_once_for_all_who_have_it(world: World) -> None:
    a_channel()
    names = [f"c{number}" for number in range(4)]
    customers(world, *names)
    for name, identity, days in [*((name, "a" * 64, 10.0) for name in names[:3]), (names[3], "b" * 64, 50.0)]:
        ends = world.now + timedelta(days=days)
        held = Certificate(identity, ends - timedelta(days=90), ends)
        world.probe.answers[url(name)] = structs.replace(passes(), places=PROXY, certificate=held)
    asked_already(world)
    watch(world, 1)
    assert told_after(world, 60) == []
    told_after(world, 60)
    assert told_after(world, 86400) == []
    assert outbox() == ["ops opened warning certificate:outside:aaaaaaaaaaaaaaaa"]
    incident = Incident.objects.get()
    which = "The certificate of https://c0.example.com/healthz and 2 other addresses"
    assert incident.message.startswith(f"{which} ends on 2026-03-11 at 12:00 UTC")
    for name in names:
        answers(world, name, passes())
        ends = world.now + timedelta(days=90)
        world.probe.answers[url(name)] = structs.replace(
            passes(), places=PROXY, certificate=Certificate("c" * 64, world.now, ends)
        )
    asked_already(world)
    watch(world, 1)
    incident.refresh_from_db()
    assert not incident.is_open


def test_a_customer_who_leaves_takes_his_incident_with_him(world: World) -> None:
    customers(world, "c1")
    answers(world, "c1", fails("http_502"))
    watch(world, 3)
    assert open_ones() == ["outside:customer:c1"]
    world.decommission("c1")
    assert open_ones() == []


def test_private_networks_are_asked_where_that_is_allowed(world: World, settings: Settings) -> None:
    wanted: list[bool] = []

    def noted(address: Address, timeout: float) -> ProbeResult:
        wanted.append(address.public_only)
        return passes()

    outside = replace(world.outside, probe=noted)  # type: ignore[arg-type]
    [instance] = customers(world, "c1")
    look_at(instance, outside)
    settings.OUTSIDE_PRIVATE = True
    look_at(instance, outside)
    assert wanted == [True, False]
