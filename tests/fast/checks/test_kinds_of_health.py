"""Each kind of question from the fleet file to the verdict, on an engine that knows the container."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from msgspec import structs

from instances import lookup
from instances.checks.check_requests import CheckRequest, request_as_listed
from instances.checks.observe import observe
from instances.checks.roster import rows_of
from instances.errors import RequestError
from instances.fleet.apply import apply
from instances.fleet.file import parse
from instances.fleet.sweep import sweep_here
from instances.health.response import Outcome
from instances.http.probe import Address, ProbeResult
from instances.models import Health, Instance, Plan
from instances.operations.validate import validate
from tests.factories import IMAGE, World
from tests.fakes.facts import image_facts
from tests.fakes.outside import fails, passes
from tests.fast.updates import publish, update

pytestmark = pytest.mark.django_db
TOKEN = "s3ntinel-of-a-header"


def say(health: str, more: str = "") -> None:
    apply(parse(f"plans: [{{name: pro, health: {health}{more}}}]"))


def request_of(world: World, instance: Instance) -> CheckRequest:
    """As a worker gets it, through a message."""
    row = Instance.objects.without_secrets().get(pk=instance.pk)
    request = request_as_listed(row, world.outside.engines)
    message = json.loads(json.dumps(request.message()))
    assert TOKEN not in str(message)
    return CheckRequest.from_message(message)


class Heard:
    """A probe that remembers what was asked."""

    def __init__(self) -> None:
        self.asked: list[Address] = []

    def __call__(self, address: Address, timeout: float) -> ProbeResult:
        self.asked.append(address)
        return passes()


def test_a_plain_plan_asks_as_ever(world: World) -> None:
    assert request_of(world, world.instance()).ask is None


def test_everything_said_reaches_the_probe_and_headers_stay_secret(world: World) -> None:
    instance, heard = world.instance(), Heard()
    object.__setattr__(world.outside, "probe", heard)
    say(
        f"{{kind: https, path: /up, host: c.io, headers: {{Authorization: {TOKEN}}}, expect: http_2xx, "
        "status: [200, 401], tls_verify: false}"
    )
    assert observe(request_of(world, instance), world.outside, 1).seen.outcome is Outcome.OK
    [asked] = heard.asked
    assert asked == Address(
        f"https://127.0.0.1:{instance.port}/up",
        asked.expect,
        "c.io",
        {"Authorization": TOKEN},
        (200, 401),
        False,
    )
    assert asked.expect == "http_2xx"
    assert TOKEN not in str(Plan.objects.filter(name="pro").values())


def test_a_question_is_said_whole_and_again_changes_nothing(world: World) -> None:
    say("{kind: tcp, headers: {X-A: a}}")
    assert apply(parse("plans: [{name: pro, health: {kind: tcp, headers: {X-A: a}}}]")) == []
    [change] = apply(parse("plans: [{name: pro, health: {kind: http, path: /up}}]"))
    assert set(change.fields) == {"health", "health_path", "health_headers"}
    assert change.fields["health_headers"] == ("(secret)", "(secret)")
    plan = Plan.objects.get(name="pro")
    assert (plan.health, plan.health_path, plan.health_headers) == ({}, "/up", None)


def test_a_port_of_its_own_is_asked_where_it_is_published(world: World) -> None:
    say("{kind: tcp, port: 9090}", ", ports: [{container: 9090}]")
    assert world.provision().status == "succeeded"
    instance = lookup.instance("new")
    assert instance.health_url == f"tcp://127.0.0.1:{instance.further_ports['9090/tcp']}"
    assert instance.access_url == f"http://127.0.0.1:{instance.port}"
    with pytest.raises(RequestError, match=r"plan pro: health asks port 9091, which is neither"):
        say("{kind: tcp, port: 9091}")
    with pytest.raises(RequestError, match=r"plan pro: health asks port 9090, which is neither"):
        apply(parse("plans: [{name: pro, ports: []}]"))


@pytest.mark.parametrize(
    ("word", "outcome", "reason"),
    [
        ("healthy", Outcome.OK, ""),
        ("starting", Outcome.STARTING, ""),
        ("unhealthy", Outcome.FAIL, "docker_unhealthy"),
        ("", Outcome.FAIL, "no_healthcheck"),
    ],
)
@pytest.mark.parametrize("listed", [True, False])
def test_docker_is_believed_from_its_list_or_its_word(
    world: World, word: str, outcome: Outcome, reason: str, listed: bool
) -> None:
    instance = world.instance()
    say("{kind: docker}")
    world.engine.change("dockmgr-c1", health=word)
    request: Any = request_of(world, instance)
    if not listed:
        request = structs.replace(request, reported=None)
    seen = observe(request, world.outside, 1).seen
    assert (seen.outcome, seen.reason) == (outcome, reason)


def test_docker_is_asked_no_more_than_its_list_while_all_is_well(world: World) -> None:
    instance = world.instance()
    say("{kind: docker}")
    world.engine.change("dockmgr-c1", health="healthy")
    request = request_of(world, instance)
    world.engine.unreachable = True
    assert observe(request, world.outside, 1).seen.outcome is Outcome.OK


@pytest.mark.parametrize("kind", ["docker", "none"])
def test_a_container_that_ended_is_no_less_down(world: World, kind: str) -> None:
    instance = world.instance()
    say(f"{{kind: {kind}}}")
    world.engine.change("dockmgr-c1", state="exited", health="healthy")
    assert observe(request_of(world, instance), world.outside, 1).seen.reason == "exited"
    world.engine.lose("dockmgr-c1")
    assert observe(request_of(world, instance), world.outside, 1).seen.reason == "missing"


def test_where_nothing_is_asked_running_is_enough(world: World) -> None:
    say("{kind: none}")
    assert world.provision().status == "succeeded"
    instance = lookup.instance("new")
    assert observe(request_of(world, instance), world.outside, 1).seen.outcome is Outcome.OK
    assert validate(instance, world.outside).valid


def test_an_image_without_a_health_check_is_refused_before_anything_is_made(world: World) -> None:
    say("{kind: docker}")
    refused = world.provision()
    assert "The image has no HEALTHCHECK, which plan pro asks Docker for." in refused.error
    world.engine.images[IMAGE] = image_facts("agent-1", has_healthcheck=True)
    assert "has no HEALTHCHECK" not in world.provision().error


PORTS = {
    "its own": ("{kind: tcp, port: 9090}", ", ports: [{container: 9090}]"),
    "another": ("{kind: tcp, port: 9091}", ", ports: [{container: 9091}]"),
    "one of two": ("{kind: tcp, port: 9090}", ", ports: [{container: 9090}, {container: 9091}]"),
    "other of two": ("{kind: tcp, port: 9091}", ", ports: [{container: 9090}, {container: 9091}]"),
    "main": ("{kind: tcp}", ", ports: []"),
    "main by name": ("{kind: tcp, port: 8080}", ", ports: [{container: 9090}]"),
}


@pytest.mark.parametrize(
    ("before", "after", "asked"),
    [
        ("its own", "another", 9090),
        ("its own", "main", 9090),
        ("main", "its own", 8080),
        ("its own", "main by name", 8080),
        ("main by name", "its own", 9090),
        ("one of two", "other of two", 9091),
        ("one of two", "another", 9090),
    ],
)
def test_a_container_is_asked_at_a_port_it_publishes_until_it_is_made_anew(
    world: World, before: str, after: str, asked: int
) -> None:
    say(*PORTS[before])
    assert world.provision().status == "succeeded"
    published = {8080: lookup.instance("new").port}
    facts = world.engine.inspect("dockmgr-new")
    assert facts
    published |= {inner: number for inner, (_, number) in facts.ports.items()}
    say(*PORTS[after])
    urls = {
        lookup.instance("new").health_url,
        *(row.health_url for row in rows_of([lookup.instance("new").pk])),
    }
    assert urls == {f"tcp://127.0.0.1:{published[asked]}"}
    publish(world)
    assert update(world, "new").status == "succeeded"
    instance, wanted = lookup.instance("new"), Plan.objects.get(name="pro").health.get("port")
    port = instance.further_ports.get(f"{wanted}/tcp", instance.port)
    assert instance.health_url == f"tcp://127.0.0.1:{port}"


def test_one_that_was_taken_over_is_asked_at_another_port_of_its_own_as_any(world: World) -> None:
    say(*PORTS["main by name"])
    assert world.provision().status == "succeeded"
    world.engine.lose("dockmgr-new")
    made = world.engine.create(replace(lookup.instance("new").spec(), image=IMAGE))
    world.engine.start(made)
    assert world.restart("new").status == "succeeded"
    say(*PORTS["its own"])
    instance = lookup.instance("new")
    assert instance.container_id == made
    assert instance.health_url == f"tcp://127.0.0.1:{instance.further_ports['9090/tcp']}"


def test_who_comes_back_from_an_update_is_asked_where_he_was(world: World) -> None:
    say("{kind: http}")
    assert world.provision().status == "succeeded"
    before = lookup.instance("new").health_url
    publish(world)
    say("{kind: http, port: 9090}", ", ports: [{container: 9090}]")
    world.probe.answers[world.host.first_port + 1] = fails()
    assert update(world, "new").status == "rolled_back"
    instance = lookup.instance("new")
    assert (instance.health_url, instance.health.status) == (before, "healthy")
    sweep_here("tests", world.outside)
    assert Health.objects.get(instance=instance).status == "healthy"


def test_what_a_worker_of_an_older_release_made_anew_is_asked_as_that_one_made_it(world: World) -> None:
    """Such a worker writes down which container is the instance's own, and not what that one publishes."""
    say(*PORTS["its own"])
    assert world.provision().status == "succeeded"
    say(*PORTS["main"])
    Instance.objects.update(container_id="another", further_ports={})
    instance = lookup.instance("new")
    assert instance.health_url == f"tcp://127.0.0.1:{instance.port}"
