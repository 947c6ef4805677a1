"""Another engine in a host's place, or one whose data is gone: nothing is done there, and people are told."""

from __future__ import annotations

from itertools import chain
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from instances.alerts.next_steps import next_step
from instances.checks.check_requests import requests_in_turn
from instances.checks.roster import Roster
from instances.containers.facts import EngineFacts
from instances.errors import AnotherEngine, EngineUnreachable, RequestError
from instances.fleet import sweep as sweeping
from instances.fleet.accept import accept_engine
from instances.fleet.apply import apply
from instances.fleet.file import parse
from instances.fleet.sweep import sweep_here
from instances.incidents import deadlines
from instances.incidents.acknowledge import acknowledge
from instances.models import Host, Incident, Instance, Notification, Operation
from instances.monitoring import host_answers
from instances.monitoring.host_answers import Answer
from instances.monitoring.hosts import ask_due
from instances.monitoring.loop import resolution
from instances.operations import service
from instances.outside import engine_address, keep_engine_id
from tests.factories import ASKED, IMAGE, World, health_of
from tests.fakes.facts import image_facts
from tests.fast.conftest import Run
from tests.fast.inline import InlineExecutor
from tests.fast.telling import a_channel, told_after

pytestmark = pytest.mark.django_db
ELSEWHERE = "unix:///fake/elsewhere.sock"


@pytest.fixture(autouse=True)
def one_at_a_time(world: World, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeping, "ThreadPoolExecutor", InlineExecutor)
    world.clock.coarse = 10
    settings.HOST_GRACE = 10


def sweep(world: World) -> None:
    world.clock.advance(900)
    world.host.refresh_from_db()
    sweep_here("tests", world.outside)


def two_turns(world: World) -> None:
    """Hosts are asked and deadlines met, as the watching threads do."""
    for _ in range(2):
        world.clock.advance(10)
        ask_due(world.outside)
        deadlines.apply_due(world.now, resolution)


def watched(world: World, number: int = 1) -> list[Instance]:
    """Customers on an engine that is known."""
    keep_engine_id(world.host, world.engine.identity)
    return [world.instance(f"c{n}") for n in range(1, number + 1)]


def moved(world: World) -> None:
    """Somebody gave the host a wrong address."""
    world.outside.hosts[ELSEWHERE].images[IMAGE] = image_facts("agent-1")
    Host.objects.filter(pk=world.host.pk).update(docker_url=ELSEWHERE)


def incident_of(world: World) -> Incident:
    return Incident.objects.get(kind="host", host=world.host)


def nothing_was_done(world: World) -> None:
    there = world.outside.hosts[ELSEWHERE]
    assert (there.containers, there.volumes, there.pulls) == ([], {}, [])
    assert not Operation.objects.exists()


def test_a_wrong_address_makes_nobody_anew_and_is_one_critical_incident(world: World) -> None:
    instances = [world.instance(name) for name in ("c1", "c2")]
    sweep(world)
    world.host.refresh_from_db()
    assert world.host.engine_id == world.engine.identity
    moved(world)
    for _ in range(2):
        sweep(world)
    nothing_was_done(world)
    incident = incident_of(world)
    assert (incident.severity, incident.cause, incident.is_open) == ("critical", "another_engine", True)
    assert incident.message.startswith("Another engine answers at the host's address")
    assert "accept_engine --host h1" in next_step(incident, "opened", "h1", by_hand=False)
    assert {health_of(instance).status for instance in instances} == {"unknown"}
    assert not Incident.objects.filter(kind="instance").exists()


@pytest.mark.parametrize("columns", [{}, {"flapping": True}])
def test_another_engine_after_one_out_of_reach_is_told_though_somebody_saw_that(
    world: World, columns: dict[str, bool]
) -> None:
    """A host that is set up anew: nothing acts there before a person accepts its engine."""
    watched(world)
    a_channel()
    a_channel("second", escalate_after=1200)
    world.engine.unreachable = True
    two_turns(world)
    assert told_after(world, 0) == ["ops opened critical host:local"]
    Notification.objects.update(sent_at=world.now)
    incident = incident_of(world)
    acknowledge(incident.pk, "ann", world.now)
    Incident.objects.update(**columns)
    world.clock.advance(1200)
    moved(world)
    two_turns(world)
    kind = "flapping" if columns else "opened"
    assert told_after(world, 0) == [f"ops {kind} critical host:local"]
    [told] = Notification.objects.filter(sent_at=None)
    assert "Another engine answers at the host's address" in told.payload["message"]
    assert incident_of(world).acknowledged_at is None
    for gone in (True, False):  # it is now this one, now none: that is known
        world.outside.hosts[ELSEWHERE].unreachable = gone
        two_turns(world)
        assert told_after(world, 0) == []
    second = ["second escalated critical host:local"]
    assert [told_after(world, seconds) for seconds in (1100, 100)] == [[], second]


def test_an_engine_that_is_another_one_after_each_start_is_told_a_few_times(world: World) -> None:
    watched(world)
    a_channel()
    moved(world)
    told = []
    for number in range(4):
        world.outside.hosts[ELSEWHERE].identity = f"NEW{number}"
        for gone in (True, False):
            world.outside.hosts[ELSEWHERE].unreachable = gone
            two_turns(world)
            told += told_after(world, 0)
    assert told == ["ops opened critical host:local"] * 3


def test_who_leaves_a_host_that_is_gone_for_good_is_removed_with_its_next_engine(world: World) -> None:
    watched(world)
    world.engine.unreachable = True
    operation = service.begin_decommission("c1", ASKED, purge_data=True, outside=world.outside)
    assert service.carry_on(operation, world.outside) is None
    moved(world)
    world.host.refresh_from_db()
    accept_engine(world.host, world.outside.engines, world.now)
    world.clock.advance(600)
    service.carry_on(operation, world.outside)
    assert Operation.objects.get().status == "succeeded"


def test_an_engine_that_lost_its_data_is_another_one_at_the_same_address(world: World) -> None:
    watched(world)
    engine = world.engine
    for name in engine.containers:
        engine.lose(name)
    engine.volumes.clear()
    engine.identity = "new-after-the-disk-was-not-mounted"
    sweep(world)
    assert (engine.containers, engine.volumes) == ([], {})
    assert incident_of(world).cause == "another_engine"


def test_a_restart_by_hand_there_says_so_and_charges_nobody(world: World) -> None:
    instances = watched(world, 4)
    for name in world.engine.containers:
        world.engine.lose(name)
    world.engine.volumes.clear()
    ended = world.restart("c1")
    assert ended.error.startswith("The containers and the data of 4 of 4 instances are missing at once")
    assert (health_of(instances[0]).status, health_of(instances[0]).failures) == ("unknown", 0)
    assert not Incident.objects.filter(kind="instance").exists()


def test_all_is_well_once_the_address_is_put_right(world: World) -> None:
    instances = watched(world)
    right = world.host.docker_url
    moved(world)
    sweep(world)
    Host.objects.filter(pk=world.host.pk).update(docker_url=right)
    two_turns(world)
    sweep(world)
    nothing_was_done(world)
    assert not incident_of(world).is_open
    assert {health_of(instance).status for instance in instances} == {"healthy"}


def test_no_operation_changes_anything_on_another_engine(world: World) -> None:
    watched(world)
    moved(world)
    there = world.outside.hosts[ELSEWHERE]
    there.create(world.instance("decoy", host=Host.objects.create(name="x", docker_url="unix:///x")).spec())
    before = (there.containers, dict(there.stops), dict(there.volumes))
    for begin in (service.begin_restart, service.begin_update, service.begin_decommission):
        done = service.run_to_end(begin("c1", ASKED, outside=world.outside).pk, world.outside)
        assert done.status == "failed"
        assert done.error.startswith("Another engine answers")
        assert (there.containers, dict(there.stops), dict(there.volumes)) == before


def test_a_new_engine_is_accepted_by_a_command(world: World, run: Run) -> None:
    watched(world)
    world.engine.identity = "reinstalled"
    sweep(world)
    ran = run("accept_engine", "--host", "local", "--reason", "reinstalled", "--json")
    assert (ran.code, ran.document["engine"]) == (0, "reinstalled")
    two_turns(world)
    assert Host.objects.get(pk=world.host.pk).engine_id == "reinstalled"
    assert not incident_of(world).is_open
    again = run("accept_engine", "--host", "local")
    assert (again.code, again.err) == (
        2, "Host local has the engine it is known by: there is nothing to accept.\n",
    )  # fmt: skip


def test_a_new_engine_is_accepted_by_the_fleet_file_and_only_where_there_is_one(world: World) -> None:
    watched(world)
    fleet = parse("hosts: [{name: local, accept_new_engine: true}]")
    known = world.host.engine_id
    assert apply(fleet, world.clock) == []
    assert Host.objects.get(pk=world.host.pk).engine_id == known
    world.engine.identity = "reinstalled"
    sweep(world)
    [change] = apply(fleet, world.clock)
    assert change.document()["fields"] == {"engine_id": {"before": known, "after": ""}}
    two_turns(world)
    assert Host.objects.get(pk=world.host.pk).engine_id == "reinstalled"
    assert apply(fleet, world.clock) == []


def test_two_hosts_with_one_address_are_refused_by_the_fleet_file(world: World) -> None:
    watched(world)
    with pytest.raises(RequestError, match="host twin has the engine of host local"):
        apply(parse(f"hosts: [{{name: twin, docker_url: '{world.host.docker_url}'}}]"), world.clock)
    assert not Host.objects.filter(name="twin").exists()


def test_a_host_that_has_another_hosts_engine_is_not_used(world: World) -> None:
    watched(world)
    twin = Host.objects.create(name="twin", docker_url=ELSEWHERE, first_port=25000)
    world.outside.hosts[ELSEWHERE] = world.engine
    instance = world.instance("guest", host=twin)
    before = world.engine.starts.copy()
    done = world.restart("guest")
    assert done.status == "failed"
    assert "is that of host local already" in done.error
    assert (world.engine.starts, instance.customer_id) == (before, "guest")
    sweep(world)
    two_turns(world)
    assert Incident.objects.get(host=twin).cause == "another_engine"


def test_a_new_host_that_does_not_answer_keeps_no_sweep_waiting(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = Host.objects.create(name="dead", docker_url=ELSEWHERE, first_port=25000)
    engine = world.outside.hosts[ELSEWHERE]
    engine.images[IMAGE] = image_facts("agent-1")
    world.instance("c1")
    world.instance("guest", host=dead)
    engine.unreachable = True
    before = engine.times_asked
    requests = chain(*requests_in_turn(Roster.of_active(), world.outside.engines))
    assert {request.customer_id: request.listed for request in requests} == {"c1": "running", "guest": None}
    assert engine.times_asked == before + 1, "only who has just answered is asked who it is"
    world.host.refresh_from_db()
    assert world.host.engine_id


def test_the_engine_is_asked_for_its_id_at_most_once_a_second(world: World) -> None:
    watched(world)
    engine = world.outside.engines.at(engine_address(world.host))
    asked = []
    facts = world.engine.facts

    def noted() -> EngineFacts:
        asked.append(1)
        return facts()

    world.engine.facts = noted  # type: ignore[method-assign]
    for _ in range(5):
        engine.ping()
    assert len(asked) <= 1
    world.engine.identity = "another"
    world.clock.advance(1)
    with pytest.raises(AnotherEngine):
        engine.list_containers()


def emptied(world: World, number: int) -> None:
    """The engine kept its id, but not the containers and volumes of so many customers."""
    for name in world.engine.containers[:number]:
        world.engine.lose(name)
        del world.engine.volumes[f"{name}-data"]


def test_many_customers_gone_at_once_with_their_data_are_not_made_anew(world: World) -> None:
    instances = watched(world, 4)
    emptied(world, 3)
    sweep(world)
    assert world.engine.containers == ["dockmgr-c4"]
    assert list(world.engine.volumes) == ["dockmgr-c4-data"]
    incident = incident_of(world)
    assert (incident.severity, incident.cause) == ("critical", "data_lost")
    assert incident.message.startswith("The containers and the data of 3 of 4 instances are missing at once")
    assert {health_of(instance).status for instance in instances} == {"unknown"}


@pytest.mark.parametrize("answers", [0, 1])
def test_an_engine_that_does_not_say_what_it_has_is_not_said_to_have_lost_it(
    world: World, monkeypatch: pytest.MonkeyPatch, answers: int
) -> None:
    """Neither where its first list is missing, nor where the one is by which it would be judged."""
    watched(world, 3)
    emptied(world, 3)
    listed, asked = world.engine.list_containers, list[int]()

    def refuses() -> Any:
        asked.append(1)
        if len(asked) > answers:
            raise EngineUnreachable("It does not answer in time.")
        return listed()

    monkeypatch.setattr(world.engine, "list_containers", refuses)
    ask_due(world.outside)
    assert len(asked) == answers + 1
    assert not Incident.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_many_containers_gone_whose_data_is_there_are_healed(world: World) -> None:
    instances = watched(world, 3)
    for name in world.engine.containers:
        world.engine.lose(name)
    sweep(world)
    assert {health_of(instance).status for instance in instances} == {"healthy"}
    assert world.engine.containers == ["dockmgr-c1", "dockmgr-c2", "dockmgr-c3"]


def test_what_answers_at_the_former_address_is_not_the_engine_of_the_new_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The host got another address while it was asked, or a sweep had its list, for the first time."""
    world.instance()
    ask_engines = host_answers.ask_engines

    def asked(*given: Any) -> list[Answer]:
        answers = list(ask_engines(*given))
        moved(world)
        return answers

    with monkeypatch.context() as asking:
        asking.setattr("instances.monitoring.hosts.ask_engines", asked)
        assert ask_due(world.outside) == 1
    keep_engine_id(world.host, world.engine.identity)
    world.clock.advance(10)
    two_turns(world)
    assert Host.objects.get().engine_id == world.outside.hosts[ELSEWHERE].identity
    assert not Incident.objects.filter(cause="another_engine").exists()


def test_a_host_that_moves_while_its_new_engine_is_asked_does_not_accept_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched(world)
    known = world.host.engine_id
    moved(world)
    world.host.refresh_from_db()
    ask = type(world.outside.engines).ask

    def asked(*given: Any) -> Any:
        answer = ask(*given)
        Host.objects.filter(pk=world.host.pk).update(docker_url="unix:///fake/third.sock")
        return answer

    monkeypatch.setattr(type(world.outside.engines), "ask", asked)
    with pytest.raises(RequestError, match="got another address, while its engine was asked"):
        accept_engine(world.host, world.outside.engines, world.now)
    world.host.refresh_from_db()
    assert world.host.engine_id == known
