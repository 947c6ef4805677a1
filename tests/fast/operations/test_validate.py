"""A validation finds every way in which a container differs from what it should be."""

from __future__ import annotations

from typing import Any

import pytest

from instances.errors import RequestError
from instances.models import HealthCheck, Instance, Operation, Plan
from instances.operations import validate_deployment
from tests.factories import SECRET, World, health_of
from tests.fakes.outside import fails, starts

pytestmark = pytest.mark.django_db


def errors(world: World) -> dict[str, str]:
    found = validate_deployment("c1.example.com")
    assert found.valid == (not found.errors)
    return {error["code"]: error["message"] for error in found.errors}


def test_what_is_as_it_should_be_is_valid(world: World) -> None:
    world.instance()
    assert errors(world) == {}


DIFFERENCES: dict[str, dict[str, Any]] = {
    "image": {"image_id": "sha256:another"},
    "cpus": {"nano_cpus": 1},
    "memory": {"memory": 0},
    "pids": {"pids_limit": None},
    "restart_policy": {"restart_policy": "no"},
    "ports": {"ports": {8080: ("127.0.0.1", 1)}},
    "mounts": {"volumes": {}},
    "labels": {"labels": {}},
    "security_opt": {"security_opt": ()},
    "privileges": {"privileged": True},
    "network": {"network_mode": "host"},
    "environment": {"env": {"API_KEY": "other"}},
    "container": {"state": "paused"},
}


def test_each_difference_is_an_error_of_its_own(world: World) -> None:
    instance = world.instance()
    for facts in DIFFERENCES.values():
        world.engine.change(instance.container_name, **facts)
    assert errors(world).keys() >= DIFFERENCES.keys()


def test_a_differing_environment_is_named_and_never_shown(world: World) -> None:
    instance = world.instance()
    world.engine.change(instance.container_name, env={"API_KEY": "what-it-is-now", "MORE": "x"})
    found = validate_deployment("c1.example.com").document()
    assert errors(world) == {"environment": "differs in API_KEY"}
    assert SECRET not in repr(found)
    assert "what-it-is-now" not in repr(found)


def test_more_than_is_asked_for_is_no_error(world: World) -> None:
    instance = world.instance()
    facts = world.engine.inspect(instance.container_name)
    assert facts
    world.engine.change(
        instance.container_name,
        env={**facts.env, "PATH": "/bin"},
        labels={**facts.labels, "org.opencontainers.image.version": "1"},
    )
    assert errors(world) == {}


def test_a_plan_that_changed_shows_on_its_containers(world: World) -> None:
    world.instance()
    Plan.objects.filter(name="pro").update(memory=4 * 1024**3)
    assert set(errors(world)) == {"memory"}
    assert "spec" in [note["code"] for note in validate_deployment("c1.example.com").warnings]


def test_absent_secrets_are_named(world: World) -> None:
    instance = world.instance()
    Plan.objects.filter(name="pro").update(required_env=["API_KEY", "GATEWAY_TOKEN"])
    assert errors(world) == {"required_env": "lacks GATEWAY_TOKEN"}
    assert instance.customer_id == "c1"


def test_a_missing_container_is_an_error_once(world: World) -> None:
    instance = world.instance()
    world.engine.lose(instance.container_name)
    assert errors(world)["container"] == "The container does not exist."


@pytest.mark.parametrize("answer", [fails("http_503"), fails("timeout"), starts()])
def test_an_instance_that_does_not_answer_well_is_invalid(world: World, answer: Any) -> None:
    instance = world.instance()
    world.probe.answers[instance.port or 0] = answer
    assert set(errors(world)) == {"health"}


def test_the_public_url_is_asked_when_there_is_one(world: World) -> None:
    world.instance()
    Plan.objects.filter(name="pro").update(public_url="https://{subdomain}/")
    world.probe.answers["https://c1.example.com/healthz"] = fails("tls")
    url = "https://c1.example.com/healthz"
    text = f"TLS is at fault for {url}: the TLS connection could not be trusted or established."
    assert errors(world) == {"tls": text}


def test_an_engine_out_of_reach_says_so(world: World) -> None:
    world.instance()
    world.engine.unreachable = True
    assert "out of reach" in errors(world)["engine"]


def test_validating_changes_nothing(world: World) -> None:
    instance = world.instance()
    world.engine.change(instance.container_name, state="exited")
    before = health_of(instance).revision
    validate_deployment("c1.example.com")
    assert health_of(instance).revision == before
    assert not HealthCheck.objects.exists()
    assert not Operation.objects.exists()
    assert (world.engine.starts, Instance.objects.count()) == ({}, 1)


@pytest.mark.parametrize("subdomain", ["nobody.example.com", "NOT.valid", "", "a" * 300, "c1.example.com."])
def test_an_unknown_or_malformed_subdomain_is_refused(world: World, subdomain: str) -> None:
    world.instance()
    with pytest.raises(RequestError, match=r"\.$"):
        validate_deployment(subdomain)
