"""What each part of a validation finds and what it only notes, and how the command ends."""

from __future__ import annotations

from typing import Any

import pytest

from instances.containers.facts import ImageFacts
from instances.containers.option_drift import COMPARED
from instances.documents import shapes
from instances.errors import TransientError
from instances.models import Host, Instance
from instances.operations.validate import Validation, timing_bounds, validate
from tests.factories import IMAGE, SECRET, World
from tests.fakes.facts import image_facts
from tests.fakes.outside import fails, passes, starts
from tests.fast.conftest import Run

PUBLIC = "https://c1.example.com/healthz"


def validated(world: World, instance: Instance) -> Validation:
    return validate(Instance.objects.get(pk=instance.pk), world.outside)


def codes(entries: list[shapes.Finding]) -> list[str]:
    return [entry["code"] for entry in entries]


def message(validation: Validation, code: str) -> str:
    [text] = [error["message"] for error in validation.errors if error["code"] == code]
    return text


def has_public_url(world: World) -> None:
    world.plan.public_url = "https://{subdomain}"
    world.plan.save()


def test_an_instance_as_it_should_be_is_valid(world: World) -> None:
    validation = validated(world, world.instance())
    assert validation.valid
    assert (validation.errors, codes(validation.warnings)) == ([], ["public_url"])


def test_the_document_has_the_agreed_shape(world: World) -> None:
    instance = world.instance()
    world.engine.change(instance.container_name, memory=1)
    document = validated(world, instance).document()
    assert list(document) == ["valid", "errors", "warnings", "checks"]
    assert {tuple(entry) for entry in [*document["errors"], *document["warnings"]]} == {("code", "message")}
    assert {tuple(check) for check in document["checks"]} == {("name", "ok", "message")}
    assert document["valid"] is False
    assert [check["name"] for check in document["checks"] if not check["ok"]] == ["memory"]


def test_every_part_is_looked_at(world: World) -> None:
    has_public_url(world)
    world.probe.answers[PUBLIC] = passes()
    validation = validated(world, world.instance())
    assert [finding.name for finding in validation.findings] == [
        "names", "image_reference", "timings", "required_env", "limits", "image_on_host", "identity",
        "container", "image", "cpus", "memory", "pids", "restart_policy", "ports", "mounts", "labels",
        "network", "security_opt", "privileges", "environment",
        *COMPARED, "health", "public_url",
    ]  # fmt: skip
    assert validation.valid and not validation.warnings


def test_a_plan_that_was_changed_behind_an_instance_shows_as_drift(world: World) -> None:
    instance = world.instance()
    world.plan.cpus, world.plan.stop_timeout, world.plan.env = 1, 20, {"NEW": "x"}
    world.plan.save()
    validation = validated(world, instance)
    assert codes(validation.errors) == ["cpus", "environment", "stop_timeout"]
    assert message(validation, "environment") == "lacks NEW"
    assert "spec" in codes(validation.warnings)


def test_a_required_secret_that_was_emptied_is_an_error(world: World) -> None:
    world.plan.required_env = ["API_KEY"]
    world.plan.save()
    instance = world.instance()
    instance.env = {"API_KEY": ""}
    instance.save()
    assert "required_env" in codes(validated(world, instance).errors)


def test_a_plan_larger_than_its_host_is_an_error(world: World) -> None:
    world.plan.cpus, world.plan.memory = 9, 17 * 1024**3
    world.plan.save()
    text = message(validated(world, world.instance()), "limits")
    assert "9 CPUs, the host has 8" in text and "17,408 MiB, the host has 16,384 MiB" in text


def test_timings_are_held_against_the_settings(world: World, settings: Any) -> None:
    instance = world.instance()
    assert validated(world, instance).valid
    settings.PROBE_TIMEOUT = 7.5
    assert timing_bounds().probe_timeout == 7.5
    assert message(validated(world, instance), "timings").startswith("start_grace (5 s) is shorter")


def test_instances_that_share_more_memory_than_the_host_has_are_noted(world: World) -> None:
    instance, *_ = [world.instance(f"c{number}x") for number in range(8)]
    assert "memory" not in codes(validated(world, instance).warnings)
    gone = world.instance("gone")
    assert "memory" in codes(validated(world, instance).warnings)
    gone.decommissioned_at = world.now
    gone.save()
    assert "memory" not in codes(validated(world, instance).warnings)
    world.instance("far", host=Host.objects.create(name="far", docker_url="unix:///fake/far.sock"))
    assert "memory" not in codes(validated(world, instance).warnings)


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (image_facts("agent-1", volumes=("/cache",)), "declares a volume at /cache"),
        (image_facts("agent-1", architecture="arm64"), "built for arm64"),
    ],
)
def test_an_image_that_does_not_fit_is_an_error(world: World, image: ImageFacts, words: str) -> None:
    instance = world.instance()
    world.engine.images[IMAGE] = image
    validation = validated(world, instance)
    assert codes(validation.errors) == ["image_on_host"]
    assert words in message(validation, "image_on_host")


def test_an_image_that_is_gone_from_the_host_is_an_error(world: World) -> None:
    instance = world.instance()
    del world.engine.images[IMAGE]
    assert codes(validated(world, instance).errors) == ["image_on_host"]


def test_the_environment_is_told_by_name_and_the_images_own_does_not_count(world: World) -> None:
    world.engine.images[IMAGE] = image_facts("agent-1", env={"PATH": "/bin"})
    instance = world.instance()
    assert "environment" not in codes(validated(world, instance).warnings)
    world.engine.change(instance.container_name, env={"PATH": "/bin", "API_KEY": "9th", "DEBUG": SECRET})
    validation = validated(world, instance)
    assert message(validation, "environment") == "differs in API_KEY"
    [note] = [w["message"] for w in validation.warnings if w["code"] == "environment"]
    assert note == "The container also has DEBUG in its environment."
    assert SECRET not in repr(validation) and "9th" not in repr(validation)


def test_a_container_that_is_gone_is_the_app_at_fault(world: World) -> None:
    has_public_url(world)
    world.probe.answers[PUBLIC] = fails("http_502")
    instance = world.instance()
    world.engine.lose(instance.container_name)
    validation = validated(world, instance)
    assert codes(validation.errors) == ["container", "health", "app"]
    assert "the container does not exist" in message(validation, "app")


def test_a_stopped_container_is_an_error_although_nothing_else_drifted(world: World) -> None:
    instance = world.instance()
    world.engine.change(instance.container_name, state="exited", exit_code=1)
    assert codes(validated(world, instance).errors) == ["container", "health"]


def test_an_instance_that_is_still_starting_is_not_valid_yet(world: World) -> None:
    instance = world.instance()
    world.probe.answers[instance.port or 0] = starts()
    assert message(validated(world, instance), "health") == "is still starting"


@pytest.mark.parametrize(
    ("reason", "code"),
    [("dns", "dns"), ("tls", "tls"), ("http_502", "proxy"), ("refused", "proxy"), ("redirect", "proxy")],
)
def test_what_fails_outside_only_is_blamed_on_its_part(world: World, reason: str, code: str) -> None:
    has_public_url(world)
    world.probe.answers[PUBLIC] = fails(reason)
    validation = validated(world, world.instance())
    assert codes(validation.errors) == [code]
    assert [c["name"] for c in validation.document()["checks"] if not c["ok"]] == ["public_url"]


def test_an_engine_out_of_reach_leaves_the_container_out(world: World) -> None:
    instance = world.instance()
    world.engine.unreachable = True
    world.probe.answers[instance.health_url] = passes()
    validation = validated(world, instance)
    assert codes(validation.errors) == ["engine"]
    assert not validation.out_of_reach
    names = [finding.name for finding in validation.findings]
    assert names == ["names", "image_reference", "timings", "required_env", "engine", "health"]


def test_an_engine_that_refuses_to_tell_is_a_finding_too(world: World) -> None:
    instance = world.instance()
    world.engine.fail_next("inspect", TransientError("It has no time."))
    assert message(validated(world, instance), "engine") == "It has no time."


def test_the_command_says_that_nothing_could_be_seen(world: World, run: Run) -> None:
    instance = world.instance()
    world.engine.unreachable = True
    world.probe.answers[instance.health_url] = fails("timeout")
    ran = run("validate", "--customer-id", "c1", "--json")
    assert ran.code == 3
    assert codes(ran.document["errors"]) == ["engine", "unknown"]
    assert ran.err.count("\n") == 1 and "out of reach" in ran.err


def test_what_is_wrong_for_certain_counts_more_than_an_engine_out_of_reach(world: World, run: Run) -> None:
    world.plan.required_env = ["GATEWAY_TOKEN"]
    world.plan.save()
    instance = world.instance()
    world.engine.unreachable = True
    world.probe.answers[instance.health_url] = fails("timeout")
    ran = run("validate", "--customer-id", "c1", "--json")
    assert (ran.code, codes(ran.document["errors"])) == (1, ["required_env", "engine", "unknown"])


def test_the_command_ends_with_zero_or_one(world: World, run: Run) -> None:
    instance = world.instance()
    assert run("validate", "--subdomain", "c1.example.com", "--json").code == 0
    world.engine.change(instance.container_name, network_mode="host")
    ran = run("validate", "--customer-id", "c1")
    assert (ran.code, ran.err) == (1, "")
    assert "should be dockmgr, is host" in ran.out
    assert "warning" in ran.out and "has no public_url" in ran.out


def test_apply_holds_timings_against_the_settings(
    world: World, run: Run, settings: Any, tmp_path: Any
) -> None:
    file = tmp_path / "fleet.yaml"
    file.write_text("plans: [{name: pro, start_grace: 6}]")
    assert run("apply", str(file)).code == 0
    settings.PROBE_TIMEOUT = 7
    ran = run("apply", str(file))
    assert ran.code == 2
    assert ran.err == (
        "The fleet file is refused: plans.0: start_grace (6 s) is shorter than one check may take (7 s).\n"
    )
