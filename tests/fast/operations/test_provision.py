"""A new instance, healthy, or nothing left behind."""

from __future__ import annotations

from collections.abc import Callable
from unittest.mock import Mock

import pytest

from instances.containers.spec import INSTALLATION_LABEL, OPERATION_LABEL
from instances.documents import told_in_full
from instances.errors import (
    NotUndoneYet,
    PermanentError,
    RequestError,
    TransientError,
)
from instances.health.state import Status
from instances.models import Health, HealthCheck, Host, Instance, Plan, Port
from instances.operations import provision, service
from tests.factories import SECRET, World, health_of
from tests.fakes.facts import image_facts
from tests.fakes.outside import fails

pytestmark = pytest.mark.django_db


def test_a_provisioned_instance_runs_on_its_plan_and_is_healthy(world: World) -> None:
    done = world.provision()
    instance = Instance.objects.select_related("plan", "host").get()
    facts = world.engine.inspect("dockmgr-new")
    assert (done.status, done.image_after, done.error) == ("succeeded", "sha256:agent-1", "")
    assert [step["name"] for step in done.steps] == [
        "image", "verify image", "volume", "create", "start", "wait until healthy",
    ]  # fmt: skip
    assert facts
    assert (facts.id, facts.state) == (instance.container_id, "running")
    assert (facts.nano_cpus, facts.memory, facts.pids_limit) == (2_000_000_000, 2 * 1024**3, 512)
    assert facts.env == {"API_KEY": SECRET}
    assert facts.volumes == {"dockmgr-new-data": "/data"}
    labels = world.engine.volume_labels("dockmgr-new-data") or {}
    assert (labels["dockmgr.managed"], labels["dockmgr.customer_id"]) == ("true", "new")
    assert world.engine.pulls == []
    assert facts.ports == {8080: ("127.0.0.1", instance.port)}
    assert (facts.restart_policy, facts.privileged) == ("unless-stopped", False)
    of_its_making = {OPERATION_LABEL, INSTALLATION_LABEL}
    assert {name: facts.labels[name] for name in facts.labels.keys() - of_its_making} == {
        "dockmgr.customer_id": "new",
        "dockmgr.managed": "true",
        "dockmgr.plan": "pro",
        "dockmgr.spec": instance.spec().labels["dockmgr.spec"],
    }
    assert instance.provisioned_at == world.now
    assert (health_of(instance).status, HealthCheck.objects.count()) == (Status.HEALTHY, 1)


def test_a_plan_without_data_makes_no_volume(world: World) -> None:
    Plan.objects.update(data_path=None)
    assert world.provision().status == "succeeded"
    assert world.engine.volumes == {}


def test_an_image_that_is_not_there_is_pulled(world: World) -> None:
    world.engine.registry["other:2"] = image_facts("other-2")
    assert world.provision(image="other:2").image_after == "sha256:other-2"
    assert world.engine.pulls == ["other:2"]


def test_the_python_call_reports_success_with_its_validation(world: World) -> None:
    result = provision(customer_id="user123", subdomain="user123.example.com", plan="pro", env={"A": "b"})
    assert result.success
    assert result.validation
    assert result.validation.valid
    assert result.access_url == f"http://127.0.0.1:{Instance.objects.get().port}"
    assert 0 < result.deploy_time_ms < 10_000
    assert (result.error, result.logs) == (None, [])


def test_a_failed_provisioning_keeps_the_containers_last_words(world: World) -> None:
    start = world.engine.start

    def start_and_talk(container: str) -> None:
        start(container)
        world.engine.write_log(container, b"reading config\n" + f"no provider for {SECRET}\n".encode())

    world.engine.start = start_and_talk  # type: ignore[method-assign]
    world.probe.answers[world.host.first_port] = fails()
    result = provision(customer_id="new", subdomain="new.example.com", plan="pro", env={"API_KEY": SECRET})
    assert (result.success, result.access_url, result.validation) == (False, None, None)
    assert (
        result.error == "new did not become healthy within 5 s of its start: The answer has HTTP status 503."
    )
    assert result.logs == ["reading config", "no provider for [redacted]"]
    assert world.nothing_is_left_of("new")


def test_nobody_waits_for_ever_until_what_failed_is_undone(world: World) -> None:
    full = TransientError("No space left on device.")
    for verb in ("start", "remove_volume"):
        setattr(world.engine, verb, Mock(side_effect=full))
    with pytest.raises(NotUndoneYet, match=r"^The provision of new failed: No space left.*next command for"):
        provision(customer_id="new", subdomain="new.example.com", plan="pro", env={})
    del world.engine.start, world.engine.remove_volume
    world.clock.advance(120)
    [undone] = service.recover(world.outside)
    assert (undone.status, world.nothing_is_left_of("new")) == ("failed", True)


def refuses(verb: str) -> Callable[[World], None]:
    def prepare(world: World) -> None:
        world.engine.fail_next(verb, PermanentError("The engine refuses."))

    prepare.__name__ = verb
    return prepare


def never_answers(world: World) -> None:
    world.probe.answers[world.host.first_port] = fails("timeout")


def exits_at_once(world: World) -> None:
    start = world.engine.start

    def start_and_exit(container: str) -> None:
        start(container)
        world.engine.change(container, state="exited", exit_code=1)

    world.engine.start = start_and_exit  # type: ignore[method-assign]


def has_no_port_left(world: World) -> None:
    world.engine.taken_ports.add(("0.0.0.0", 20000))
    Host.objects.update(last_port=20000)


TROUBLES = [
    *(refuses(verb) for verb in ("image", "create_volume", "create", "start")),
    exits_at_once,
    has_no_port_left,
]


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_failure_at_any_step_leaves_nothing_and_frees_the_names(
    world: World, trouble: Callable[[World], None]
) -> None:
    trouble(world)
    done = world.provision()
    assert (done.status, done.instance, done.customer_id) == ("failed", None, "new")
    assert done.error
    assert world.nothing_is_left_of("new")
    assert not Port.objects.exists()
    assert not Health.objects.exists()


def test_after_a_failure_the_same_order_can_be_placed_again(world: World) -> None:
    assert world.provision(image="gone:1").status == "failed"
    assert world.provision().status == "succeeded"


def test_a_pull_that_finds_no_image_says_so(world: World) -> None:
    done = world.provision(image="gone:1")
    assert world.nothing_is_left_of("new")
    assert told_in_full(done) == (
        "The image gone:1 could not be had from registry docker.io. "
        "The registry said: There is no image gone:1."
    )


def test_a_registry_that_is_down_for_a_moment_is_waited_for(world: World) -> None:
    world.engine.registry["other:2"] = image_facts("other-2")
    world.engine.registry_down = True
    world.clock.at(5, lambda: setattr(world.engine, "registry_down", False))
    assert world.provision(image="other:2").status == "succeeded"


def test_undoing_that_fails_for_a_moment_is_carried_on_later(world: World) -> None:
    never_answers(world)
    for _ in range(3):
        world.engine.fail_next("remove", TransientError("The engine is out of sorts."))
    world.engine.fail_next("remove_volume", TransientError("The engine is out of sorts."))
    done = world.provision()
    assert done.status == "failed"
    assert "did not become healthy" in done.error
    assert world.nothing_is_left_of("new")
    undone = [(step["name"], step["status"]) for step in done.steps if step["name"].startswith("undo")]
    names = ("undo create", "undo volume")
    assert undone == [(name, status) for name in names for status in ("failed", "done")]
    assert [step["failures"] for step in done.steps if step["status"] == "failed"][1:] == [3, 1]


def test_a_volume_that_was_there_before_is_kept_when_provisioning_fails(world: World) -> None:
    world.instance("new")
    world.decommission("new")
    never_answers(world)
    world.probe.answers[world.host.first_port + 1] = fails()
    assert world.provision().status == "failed"
    assert list(world.engine.volumes) == ["dockmgr-new-data"]


def test_a_strangers_container_of_that_name_is_left_alone(world: World) -> None:
    world.instance("new")
    Instance.objects.all().delete()
    done = world.provision(former_data="keep")
    assert "is in the way" in done.error
    assert world.engine.containers == ["dockmgr-new"]
    facts = world.engine.inspect("dockmgr-new")
    assert facts
    assert facts.state == "running"


def test_a_missing_container_is_hopeless_and_not_waited_for(world: World) -> None:
    start, began = world.engine.start, world.now

    def start_and_vanish(container: str) -> None:
        start(container)
        world.engine.lose(container)

    world.engine.start = start_and_vanish  # type: ignore[method-assign]
    assert "The container does not exist" in world.provision().error
    assert (world.now - began).total_seconds() < 2


def test_a_host_name_that_no_system_can_have_is_refused_before_anything_is_made(world: World) -> None:
    Plan.objects.update(options={"hostname": "host-of-{subdomain}"})
    with pytest.raises(RequestError, match="has 72 characters, and 64 are the most"):
        world.provision(subdomain=f"{'a' * 52}.example.com")
    assert not Instance.objects.exists()
    assert world.engine.volumes == {}
