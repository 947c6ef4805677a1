"""What makes an instance invalid, what is only worth knowing, and that no value of a secret is told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from instances.containers.drift import (
    Configuration,
    Finding,
    configuration,
    configuration_notes,
    drift,
    drift_notes,
    image_notes,
    image_on_host,
    is_to_move,
    limits,
    over_commitment,
)
from instances.containers.facts import ContainerFacts, EngineFacts
from instances.containers.option_drift import COMPARED
from instances.containers.options import DEFAULT_LOG, Logging
from instances.containers.spec import ContainerSpec, InstanceSpec, PlanSpec, build, next_name
from instances.containers.timings import Bounds
from tests.fakes.facts import created_facts, image_facts

GIB = 1024**3
SECRET = "s3ntinel-value"
PLAN = PlanSpec(name="pro", image="agent:1.0", cpus=2, memory=2 * GIB, container_port=8080, pids=99)
IMAGE = image_facts("one", env={"PATH": "/bin", "VERSION": "1"})
ENGINE = EngineFacts(architecture="amd64", cpus=4, memory=8 * GIB, root="")
SPEC: ContainerSpec = build(
    PLAN,
    InstanceSpec("user1", "127.0.0.1", 20001, env={"API_KEY": SECRET, "TZ": "UTC"}, network="dockmgr"),
)
FACTS: ContainerFacts = replace(created_facts("c0ffee", SPEC, IMAGE), state="running")


def found(spec: ContainerSpec = SPEC, recorded: str = IMAGE.id, **facts: Any) -> list[Finding]:
    return list(drift(spec, replace(FACTS, **facts), recorded, IMAGE))


def bad(findings: list[Finding]) -> dict[str, str]:
    return {finding.name: finding.message for finding in findings if not finding.ok}


def test_a_container_made_from_its_spec_has_no_drift() -> None:
    findings = found()
    assert bad(findings) == {}
    assert [finding.name for finding in findings] == [
        "container", "image", "cpus", "memory", "pids", "restart_policy", "ports", "mounts", "labels",
        "network", "security_opt", "privileges", "environment", *COMPARED,
    ]  # fmt: skip


DATA = dict(SPEC.volumes)

# what is different about the container: (the one field that is named, what is said)
DRIFT: list[tuple[dict[str, Any], str, str]] = [
    ({"state": "exited"}, "container", "is exited"),
    ({"image_id": "sha256:two"}, "image", "should be sha256:one, is sha256:two"),
    ({"nano_cpus": 500_000_000}, "cpus", "should be 2 CPUs, is 0.5 CPUs"),
    ({"nano_cpus": 0}, "cpus", "should be 2 CPUs, is without limit"),
    ({"memory": 512 * 1024**2}, "memory", "should be 2,048 MiB, is 512 MiB"),
    ({"memory": 2 * GIB + 4096}, "memory", "should be 2,147,483,648 bytes, is 2,147,487,744 bytes"),
    ({"memory": 25275710012}, "memory", "should be 2,048 MiB, is 24,104.8 MiB"),
    ({"memory": 0}, "memory", "should be 2,048 MiB, is without limit"),
    ({"pids_limit": None}, "pids", "should be 99 processes, is without limit"),
    ({"restart_policy": "always"}, "restart_policy", "should be unless-stopped, is always"),
    ({"ports": {8080: ("127.0.0.1", 9)}}, "ports", "8080 at 127.0.0.1:20001, is 8080 at 127.0.0.1:9"),
    ({"ports": {8080: ("0.0.0.0", 20001)}}, "ports", "is 8080 at 0.0.0.0:20001"),
    ({"ports": {8080: ("127.0.0.1", 20001), 22: ("0.0.0.0", 22)}}, "ports", "is 22 at 0.0.0.0:22, 8080 at"),
    ({"ports": {}}, "ports", "is none"),
    ({"volumes": {}}, "mounts", "should be dockmgr-user1-data at /data, is none"),
    ({"volumes": {"other": "/data"}}, "mounts", "is other at /data"),
    ({"volumes": {**DATA, "v": "/v"}}, "mounts", "is dockmgr-user1-data at /data, v at /v"),
    ({"binds": ("/host",)}, "mounts", "something of the host at /host"),
    ({"labels": {}}, "labels", "lacks dockmgr.customer_id, dockmgr.managed, dockmgr.plan"),
    ({"labels": {**SPEC.labels, "dockmgr.plan": "free"}}, "labels", "differs in dockmgr.plan"),
    ({"network_mode": "host"}, "network", "should be dockmgr, is host"),
    ({"security_opt": ()}, "security_opt", "should be no-new-privileges, is none"),
    ({"security_opt": ("seccomp=unconfined",)}, "security_opt", "is seccomp=unconfined"),
    ({"privileged": True}, "privileges", "should be none, is all of them"),
    ({"cap_add": ("SYS_ADMIN", "NET_RAW")}, "privileges", "should be none, is NET_RAW, SYS_ADMIN"),
    ({"env": {"API_KEY": "other", "TZ": "UTC"}}, "environment", "differs in API_KEY"),
    ({"env": {"API_KEY": "other"}}, "environment", "lacks TZ; differs in API_KEY"),
    ({"env": {}}, "environment", "lacks API_KEY, TZ"),
]


@pytest.mark.parametrize(("facts", "name", "words"), DRIFT, ids=[f"{n} {w}" for _, n, w in DRIFT])
def test_drift_is_named_field_by_field(facts: dict[str, Any], name: str, words: str) -> None:
    [(field, message)] = bad(found(**facts)).items()
    assert field == name
    assert words in message


SAME: list[dict[str, Any]] = [
    {"network_mode": "bridge"},
    {"security_opt": ("no-new-privileges:true",)},
    {"security_opt": ("no-new-privileges=true",)},
    {"labels": {**SPEC.labels, "dockmgr.operation": "1", "com.example": "x"}},
    {"labels": {**SPEC.labels, "dockmgr.spec": "0000"}},
    {"env": {**FACTS.env, "EXTRA": "x"}},
    {"options": {**FACTS.options, "logging": Logging(options={**DEFAULT_LOG, "compress": "true"})}},
    {"options": {**FACTS.options, "ulimits": {"nofile": (1024, 4096)}}},
    {"name": next_name("dockmgr-user1"), "restart_count": 4},
]


@pytest.mark.parametrize("facts", SAME, ids=str)
def test_what_says_the_same_in_other_words_is_no_drift(facts: dict[str, Any]) -> None:
    assert bad(found(**facts)) == {}


def test_an_instance_without_a_recorded_image_takes_the_one_it_runs() -> None:
    assert bad(found(recorded="")) == {}


def test_a_plan_without_data_wants_no_mount() -> None:
    spec = replace(SPEC, volumes={})
    assert bad(found(spec))["mounts"] == "should be none, is dockmgr-user1-data at /data"
    assert bad(found(spec, volumes={})) == {}


def notes(image: Any = IMAGE, **facts: Any) -> dict[str, str]:
    return {note.code: note.message for note in drift_notes(SPEC, replace(FACTS, **facts), image)}


def test_a_container_from_before_the_bridge_of_customers_is_to_move_and_no_drift() -> None:
    assert (is_to_move(SPEC, FACTS), is_to_move(SPEC, replace(FACTS, network_mode="bridge"))) == (False, True)
    [(code, text)] = notes(network_mode="default").items()
    assert (code, "its next update moves it to dockmgr" in text) == ("network", True)


def test_what_the_image_says_itself_is_not_extra() -> None:
    assert {"PATH", "VERSION"} < FACTS.env.keys()
    assert notes() == {}


def test_names_beyond_spec_and_image_are_told() -> None:
    env = {**FACTS.env, "B": SECRET, "A": SECRET, "VERSION": "2"}
    assert notes(env=env) == {"environment": "The container also has A, B, VERSION in its environment."}


def test_nothing_is_extra_when_the_image_is_not_there_to_be_asked() -> None:
    assert notes(None, env={**FACTS.env, "A": "x"}) == {}


@pytest.mark.parametrize("labels", [{**SPEC.labels, "dockmgr.spec": "0000"}, {}])
def test_a_container_of_an_earlier_spec_is_noted(labels: dict[str, str]) -> None:
    assert "earlier settings" in notes(labels=labels)["spec"]


def test_no_text_holds_a_value_of_the_environment() -> None:
    spec = replace(SPEC, env={"API_KEY": SECRET, "TOKEN": SECRET})
    facts = replace(FACTS, env={"API_KEY": f"{SECRET}2", "EXTRA": SECRET})
    told = [*drift(spec, facts, IMAGE.id), *drift_notes(spec, facts, IMAGE)]
    assert SECRET not in repr(told)
    assert all(name in repr(told) for name in ("API_KEY", "TOKEN", "EXTRA"))


GOOD = Configuration(
    customer_id="user1", subdomain="user1.example.com", image="agent:1.0", plan=PLAN,
    env=frozenset({"API_KEY", "TOKEN"}), required_env=("API_KEY", "TOKEN"), start_grace=60,
    public_url="https://{subdomain}", update_strategy="recreate",
)  # fmt: skip

# name: (what is different about the configuration, the check that fails, what is said)
WRONG: dict[str, tuple[dict[str, Any], str, str]] = {
    "a customer id": ({"customer_id": "User_1"}, "names", "customer id is malformed"),
    "a subdomain": ({"subdomain": "-x.example.com"}, "names", "subdomain is malformed"),
    "no image": ({"image": ""}, "image_reference", "malformed"),
    "an image": ({"image": "a b"}, "image_reference", "malformed"),
    "a grace": ({"start_grace": 4}, "timings", "shorter than one check"),
    "a stop timeout": ({"plan": replace(PLAN, stop_timeout=1500)}, "timings", "no operation may take longer"),
    "an absent secret": ({"env": frozenset({"TOKEN"})}, "required_env", "lacks API_KEY"),
    "absent secrets": ({"env": frozenset()}, "required_env", "lacks API_KEY, TOKEN"),
}


@pytest.mark.parametrize("image", (GOOD.image, "c0ffeec0ffee"))
def test_a_good_configuration_has_nothing_against_it(image: str) -> None:
    findings = list(configuration(replace(GOOD, image=image), Bounds()))
    assert [f.name for f in findings] == ["names", "image_reference", "timings", "required_env"]
    assert bad(findings) == {}
    assert list(configuration_notes(GOOD)) == []


@pytest.mark.parametrize(("changes", "name", "words"), WRONG.values(), ids=WRONG)
def test_a_wrong_configuration_is_named(changes: dict[str, Any], name: str, words: str) -> None:
    [(field, message)] = bad(list(configuration(replace(GOOD, **changes), Bounds()))).items()
    assert field == name
    assert words in message


NOTED: dict[str, tuple[dict[str, Any], list[str]]] = {
    "no public url": ({"public_url": ""}, ["public_url"]),
    "latest": ({"image": "agent:latest"}, ["image_tag"]),
    "no tag": ({"image": "registry.example.com:5000/agent"}, ["image_tag"]),
    "a tag": ({"image": "registry.example.com:5000/agent:1"}, []),
    "a digest": ({"image": f"agent@sha256:{'a' * 64}"}, []),
    "latest by digest": ({"image": f"agent:latest@sha256:{'a' * 64}"}, []),
    "an id": ({"image": f"sha256:{'a' * 64}"}, []),
    "start first with data": ({"update_strategy": "start_first"}, ["update_strategy"]),
    "start first": ({"update_strategy": "start_first", "plan": replace(PLAN, data_path=None)}, []),
}


@pytest.mark.parametrize(("changes", "codes"), NOTED.values(), ids=NOTED)
def test_what_is_worth_knowing_is_noted(changes: dict[str, Any], codes: list[str]) -> None:
    assert [note.code for note in configuration_notes(replace(GOOD, **changes))] == codes


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        (replace(PLAN, cpus=4, memory=8 * GIB), ""),
        (replace(PLAN, cpus=4.5), "Plan pro has 4.5 CPUs, the host has 4."),
        (replace(PLAN, memory=8 * GIB + 1024**2), "Plan pro has 8,193 MiB, the host has 8,192 MiB."),
        (replace(PLAN, cpus=5, memory=9 * GIB), "5 CPUs, the host has 4. Plan pro has 9,216 MiB"),
    ],
)
def test_a_plan_must_fit_on_the_host(plan: PlanSpec, words: str) -> None:
    finding = limits(plan, ENGINE)
    assert finding.ok == (not words)
    assert words in finding.message


def test_more_memory_promised_than_there_is_is_noted() -> None:
    assert list(over_commitment(8 * GIB, ENGINE)) == []
    [note] = over_commitment(8 * GIB + 1, ENGINE)
    assert note.code == "memory"


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (IMAGE, ""),
        (None, "does not have the image"),
        (replace(IMAGE, architecture="arm64"), "built for arm64"),
        (replace(IMAGE, architecture="386"), ""),
        (replace(IMAGE, architecture="arm"), "built for arm"),
        (replace(IMAGE, volumes=("/cache",)), "declares a volume at /cache"),
        (replace(IMAGE, exposed_ports=(80,)), ""),
    ],
)
def test_the_image_on_the_host_must_fit(image: Any, words: str) -> None:
    finding = image_on_host(image, PLAN, ENGINE)
    assert finding.ok == (not words)
    assert words in finding.message


def test_a_port_the_image_names_and_the_plan_does_not_publish_is_noted() -> None:
    [note] = image_notes(replace(IMAGE, exposed_ports=(80, 81)), PLAN)
    assert (note.code, note.message) == (
        "exposed_port", "The image exposes port 80, 81, plan pro publishes 8080.",
    )  # fmt: skip
    assert not list(image_notes(IMAGE, PLAN))
    assert not list(image_notes(replace(IMAGE, exposed_ports=()), PLAN))
    assert not list(image_notes(None, PLAN))
