"""Orders for new instances: where they go, which port they get, and which are refused."""

from __future__ import annotations

from typing import Any

import pytest

from instances.errors import BusyError, OutOfReachError, RequestError
from instances.models import FreedPort, Host, HostWatch, Instance, Operation, Plan, Port
from instances.operations import service
from instances.operations.journal import Journal
from instances.operations.requester import Requester
from tests.factories import ASKED, IMAGE, World
from tests.fakes.facts import image_facts
from tests.rows import row

pytestmark = pytest.mark.django_db


def test_ports_are_unique_on_a_host_and_free_on_another(world: World) -> None:
    Host.objects.create(name="far", docker_url="unix:///fake/far.sock")
    world.outside.hosts["unix:///fake/far.sock"].images[IMAGE] = image_facts("agent-1")
    for name, host in (("a1", "local"), ("a2", "local"), ("a3", "far")):
        assert world.provision(name, host=host).status == "succeeded"
    ports = Port.objects.order_by("id").values_list("host__name", "number")
    assert list(ports) == [("local", 20000), ("local", 20001), ("far", 20000)]


def test_a_port_held_by_something_else_is_passed_over(world: World) -> None:
    world.engine.taken_ports.update({("0.0.0.0", 20000), ("127.0.0.1", 20001)})
    assert world.provision().status == "succeeded"
    assert Port.objects.get().number == Instance.objects.get().port == 20002
    assert world.engine.containers == ["dockmgr-new"]


def test_a_stopped_container_keeps_its_port(world: World) -> None:
    stopped = world.instance()
    world.engine.change(stopped.container_name, state="exited")
    world.provision()
    assert Instance.objects.get(customer_id="new").port == (stopped.port or 0) + 1


def test_a_decommissioned_instance_s_port_is_used_again_last(world: World) -> None:
    gone = world.instance()
    world.decommission()
    world.provision()
    new = Instance.objects.get(customer_id="new")
    assert (new.port, FreedPort.objects.get().number) == ((gone.port or 0) + 1, gone.port)
    Host.objects.update(last_port=new.port)
    world.provision("newer")
    assert Instance.objects.get(customer_id="newer").port == gone.port


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"customer_id": "Bad_Id"}, "customer id is malformed"),
    ({"subdomain": "under_score.example.com"}, "subdomain is malformed"),
    ({"plan": "platinum"}, "no plan named platinum; known are enterprise, free, pro"),
    ({"host": "mars"}, "no host named mars; known are local"),
    ({"image": "a b"}, "image reference is malformed"),
    ({"env": {"NOT OK": "x"}}, "name is malformed"),
    ({"env": {"GOOD": "a\0b"}}, "value of GOOD must be a text"),
    ({"env": {"GOOD": 5}}, "value of GOOD must be a text"),
    ({"plan": "free"}, "Plan free has no image"),
    ({"customer_id": "c1"}, "Customer c1 has an instance already"),
    ({"subdomain": "c1.example.com"}, "subdomain c1.example.com is taken"),
]


def test_a_wrong_order_is_refused_before_anything_is_touched(world: World) -> None:
    world.instance("c1")
    before = (world.engine.containers, dict(world.engine.volumes), Instance.objects.count())
    for changes, sentence in WRONG:
        with row(changes), pytest.raises(RequestError, match=sentence):
            service.begin_provision(world.order(**changes), ASKED, world.outside)
    assert (world.engine.containers, dict(world.engine.volumes), Instance.objects.count()) == before
    assert not Operation.objects.exists()


@pytest.mark.parametrize("value", [None, ""])
def test_a_required_secret_that_is_absent_or_empty_is_refused(world: World, value: str | None) -> None:
    Plan.objects.update(required_env=["GATEWAY_TOKEN"])
    env = {} if value is None else {"GATEWAY_TOKEN": value}
    with pytest.raises(RequestError, match="Plan pro requires GATEWAY_TOKEN in the environment"):
        service.begin_provision(world.order(env=env), ASKED, world.outside)


def test_the_least_loaded_host_with_room_whose_engine_answers_is_taken(world: World) -> None:
    world.instance("c1")
    Host.objects.create(name="full", docker_url="unix:///fake/full.sock", max_instances=0)
    Host.objects.create(name="dead", docker_url="unix:///fake/dead.sock")
    world.outside.hosts["unix:///fake/dead.sock"].unreachable = True
    Host.objects.create(name="free", docker_url="unix:///fake/free.sock")
    operation = service.begin_provision(world.order(), ASKED, world.outside)
    assert operation.host
    assert operation.host.name == "free"


def test_hosts_that_did_not_answer_lately_are_asked_after_all_others(world: World) -> None:
    world.instance("c1")
    engines = []
    for name in ("dead", "rises"):
        host = Host.objects.create(name=name, docker_url=f"unix:///fake/{name}.sock")
        HostWatch.objects.create(host=host, failures=2)
        engines.append(world.outside.hosts[host.engine_url])
    dead, rises = engines
    dead.unreachable = True

    def provisioned_on(customer_id: str) -> str:
        operation = service.begin_provision(world.order(customer_id), ASKED, world.outside)
        assert operation.host
        return operation.host.name

    assert provisioned_on("c2") == "local"
    assert (dead.times_asked, rises.times_asked) == (0, 0)
    Host.objects.filter(name="local").update(cordoned=True)
    assert provisioned_on("c3") == "rises"


def test_a_full_named_host_is_refused(world: World) -> None:
    Host.objects.update(max_instances=1)
    world.instance("c1")
    with pytest.raises(RequestError, match="Host local has no room: it holds its 1 instances"):
        service.begin_provision(world.order(host="local"), ASKED, world.outside)
    with pytest.raises(RequestError, match="No host has room"):
        service.begin_provision(world.order(), ASKED, world.outside)


def test_without_an_engine_that_answers_nothing_is_written_down(world: World) -> None:
    world.engine.unreachable = True
    with pytest.raises(OutOfReachError, match="No host with room has an engine that answers"):
        service.begin_provision(world.order(), ASKED, world.outside)
    assert not Instance.objects.exists()


def test_the_same_request_is_provisioned_once(world: World) -> None:
    asked = Requester("billing", "sign-up", "order-77")
    first = service.begin_provision(world.order(), asked, world.outside)
    again = service.begin_provision(world.order(), asked, world.outside)
    assert first.pk == again.pk
    assert service.run_to_end(first.pk, world.outside).status == "succeeded"
    assert service.begin_provision(world.order(), asked, world.outside).pk == first.pk
    assert Instance.objects.count() == 1


def test_an_instance_being_provisioned_is_not_swept_and_not_changed(world: World) -> None:
    service.begin_provision(world.order(), ASKED, world.outside)
    assert not Instance.objects.active().exists()
    with pytest.raises(BusyError, match="provision asked for by tests"):
        service.begin_restart("new", ASKED, world.outside)


def test_whoever_waits_for_an_operation_waits_while_somebody_else_carries_it_on(world: World) -> None:
    """A worker may take it up between two tries."""
    world.instance()
    operation = service.begin_restart("c1", ASKED, world.outside)
    other = Journal.claim(operation.pk, world.clock)
    assert other is not None
    world.clock.at(3, lambda: other.close("succeeded"))
    done = service.run_or_wait(operation.pk, world.outside)
    assert (done.status, world.engine.starts) == ("succeeded", {})


def test_whoever_lost_an_operation_waits_for_the_end_that_somebody_else_brings_it_to(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that stood still for longer than its lease finds another one at its work."""
    world.instance()
    operation = service.begin_restart("c1", ASKED, world.outside)
    stop = world.engine.stop

    def stand_still(container: str, timeout: int) -> None:
        stop(container, timeout)
        world.clock.advance(31)
        other = Journal.claim(operation.pk, world.clock)
        assert other is not None
        world.clock.at(3, lambda: other.close("succeeded"))

    monkeypatch.setattr(world.engine, "stop", stand_still)
    done = service.run_or_wait(operation.pk, world.outside)
    assert (done.status, world.engine.starts) == ("succeeded", {})
