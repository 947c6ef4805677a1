"""A host whose engine is known to be out of reach is judged by one look, and holds nobody up."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from instances.checks import engine_answers
from instances.checks.check_requests import requests_in_turn
from instances.checks.dark_hosts import plan_checks
from instances.checks.roster import Roster
from instances.fleet.sweep import check_here, sweep_here
from instances.http.probe import ProbeResult
from instances.models import Health, HealthCheck, Host, HostWatch, Incident, Instance, Sweep
from tasks import checks as tasks_checks
from tests.factories import World, health_of
from tests.fakes.outside import fails, passes
from tests.fast.conftest import Message

Sent = Callable[[str], list[Message]]
pytestmark = pytest.mark.django_db


@pytest.fixture
def dark(world: World) -> Iterator[Host]:
    """A second host whose engine is out of reach, with three instances beside two of the usual one."""
    host = Host.objects.create(
        name="dark", docker_url="unix:///fake/dark.sock", first_port=30000, last_port=30999
    )
    for number in range(3):
        world.instance(f"dark{number}", host=host)
    for number in range(2):
        world.instance(f"well{number}")
    world.outside.hosts[host.engine_url].unreachable = True
    yield host
    tasks_checks._dark = {}


def test_a_sweep_looks_at_one_instance_of_a_dark_host_and_knows_the_others(
    world: World, dark: Host, sent: Sent
) -> None:
    world.host_incident(dark)
    answer = tasks_checks.sweep()
    [lead, *others] = sorted(message.kwargs["customer_id"] for message in sent("health"))
    assert others == ["well0", "well1"]
    unknown = Health.objects.filter(status="unknown").values_list("instance__customer_id", flat=True)
    assert sorted([*unknown, lead]) == [f"dark{number}" for number in range(3)]
    assert (answer["total"], Sweep.objects.get().done) == (5, 2)
    assert HealthCheck.objects.filter(outcome="unknown", error="The engine does not answer.").count() == 2


def test_a_follow_up_does_the_same(world: World, dark: Host, sent: Sent) -> None:
    world.host_incident(dark)
    Health.objects.update(next_check_at=world.now)
    tasks_checks.follow_up()
    assert len(sent("health")) == 3


def test_a_sweep_in_the_callers_process_does_the_same(world: World, dark: Host) -> None:
    world.host_incident(dark)
    looked: list[str] = []
    for instance in Instance.objects.filter(host=dark):
        world.probe.answers[instance.port or 0] = partial(_noted, looked, instance.customer_id)
    report = sweep_here("tests", world.outside)
    assert len(set(looked)) <= 1
    assert {row.status for row in report.rows if row.instance.host_id == dark.pk} == {"unknown"}


def test_a_sweep_in_the_callers_process_first_asks_whether_the_engine_is_back(
    world: World, dark: Host
) -> None:
    world.host_incident(dark)
    HostWatch.objects.update_or_create(
        host=dark,
        defaults={"failures": 2, "asked_at": world.now, "ask_at": world.now + timedelta(seconds=10)},
    )
    world.outside.hosts[dark.engine_url].unreachable = False
    report = sweep_here("tests", world.outside)
    assert {row.status for row in report.rows} == {"healthy"}
    assert Incident.objects.get(host=dark).resolve_at is not None


def _noted(looked: list[str], customer_id: str) -> ProbeResult:
    looked.append(customer_id)
    return fails("timeout")


def test_a_host_in_its_grace_is_looked_at_again(world: World, dark: Host) -> None:
    world.host_incident(dark, resolve_at=world.now)
    plan = plan_checks(Roster.of_active())
    assert (len(plan.usual), plan.leads, list(plan.unseen(world.now))) == (5, [], [])


def test_a_wave_is_no_reason_not_to_look(world: World, dark: Host) -> None:
    world.host_incident(dark, cause="wave")
    assert not list(plan_checks(Roster.of_active()).unseen(world.now))


def test_what_a_plan_costs_does_not_grow_with_the_fleet(world: World, dark: Host) -> None:
    world.host_incident(dark)
    with CaptureQueriesContext(connection) as few:
        plan = plan_checks(Roster.of_active())
    assert (len(plan.leads), len(list(plan.unseen(world.now)))) == (1, 2)
    world.outside.hosts[dark.engine_url].unreachable = False
    for number in range(6):
        world.instance(f"more{number}", host=dark)
    with CaptureQueriesContext(connection) as many:
        plan = plan_checks(Roster.of_active())
        list(plan.unseen(world.now))
    assert len(plan.dark) == 8
    assert len(many) <= len(few) + 3, "the rows, their plans and their host are read once"


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("committer")
def test_what_waits_already_when_its_host_goes_dark_is_not_looked_at(
    world: World, dark: Host, sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks_checks.sweep()
    messages = {message.kwargs["customer_id"]: message for message in sent("health")}
    world.host_incident(dark)
    tasks_checks.note_dark_hosts()
    monkeypatch.setattr(tasks_checks, "observe", _must_not)
    tasks_checks.check_health(**messages["dark2"].kwargs)
    assert Health.objects.get(instance__customer_id="dark2").status == "unknown"


def _must_not(*_: object) -> None:
    pytest.fail("it was looked at")


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("committer")
def test_the_one_a_dark_host_is_judged_by_is_looked_at_all_the_same(
    world: World, dark: Host, sent: Sent
) -> None:
    world.host_incident(dark)
    tasks_checks.note_dark_hosts()
    tasks_checks.sweep()
    [lead] = [message for message in sent("health") if message.kwargs["customer_id"].startswith("dark")]
    tasks_checks.check_health(**lead.kwargs)
    instance = Instance.objects.get(customer_id=lead.kwargs["customer_id"])
    assert health_of(instance).status == "healthy", "it answers, whatever its engine does"


def test_hosts_take_turns(world: World, dark: Host) -> None:
    world.outside.hosts[dark.engine_url].unreachable = False
    [requests] = map(list, requests_in_turn(Roster.of_active(), world.outside.engines))
    hosts = [request.engine_url for request in requests]
    assert hosts[0] != hosts[1] and hosts[0] == hosts[2] and hosts[1] == hosts[3]


@pytest.fixture
def late(world: World, dark: Host, monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """The dark host's engine lists its containers when this is set."""
    monkeypatch.setattr(engine_answers, "SOON", 0.05)
    answers, engine = threading.Event(), world.outside.hosts[dark.engine_url]
    engine.unreachable = False
    listing = engine.list_containers

    def when_told() -> object:
        assert answers.wait(10)
        return listing()

    monkeypatch.setattr(engine, "list_containers", when_told)
    yield answers
    answers.set()


def test_a_host_that_lists_late_holds_up_nobody_else(world: World, late: threading.Event) -> None:
    groups = requests_in_turn(Roster.of_active(), world.outside.engines)
    assert {request.customer_id for request in next(groups)} == {"well0", "well1"}
    late.set()
    assert len([request for group in groups for request in group]) == 3


def test_a_sweep_in_the_callers_process_looks_at_others_while_a_host_lists(
    world: World, late: threading.Event
) -> None:
    def looked() -> ProbeResult:
        late.set()
        return passes()

    well = Instance.objects.get(customer_id="well1")
    world.probe.answers[well.port or 0] = looked
    assert len(list(check_here(Roster.of_active(), world.outside))) == 5


def test_a_host_whose_data_may_be_lost_holds_up_nobody_while_its_engine_is_asked(
    world: World, dark: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, answers = world.outside.hosts[dark.engine_url], threading.Event()
    engine.unreachable = False
    for name in list(engine.containers):
        engine.lose(name)
    labels = engine.volume_labels

    def when_told(name: str) -> object:
        answers.wait(10)
        return labels(name)

    monkeypatch.setattr(engine, "volume_labels", when_told)
    engine.volumes.clear()
    groups = requests_in_turn(Roster.of_active(), world.outside.engines)
    assert {request.customer_id for request in next(groups)} == {"well0", "well1"}
    answers.set()
    doubted = [request for group in groups for request in group]
    assert len(doubted) == 3
    assert all("the data of 3 of 3 instances are missing" in str(request.distrust) for request in doubted)


def test_who_is_due_does_not_wait_for_long_for_a_host_that_lists_late(
    world: World, late: threading.Event, sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks_checks, "LIST_PATIENCE", 0.1)
    Health.objects.update(next_check_at=world.now)
    tasks_checks.follow_up()
    assert not late.is_set()
    published = {message.kwargs["customer_id"]: message.kwargs["request"] for message in sent("health")}
    listed = {customer: request.get("listed") for customer, request in published.items()}
    of_dark = {customer: None for customer in listed if customer.startswith("dark")}
    assert listed == {"well0": "running", "well1": "running", **of_dark}
    assert of_dark
