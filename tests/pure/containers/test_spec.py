"""The container an instance should have, by equality; its hash; and what never shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instances.containers.options import Options
from instances.containers.spec import (
    ContainerSpec,
    InstanceSpec,
    PlanSpec,
    build,
    container_name,
    customer_named,
    derived_from,
    is_outdated,
    next_name,
    previous_name,
    spec_hash,
)
from instances.lib.validators import CUSTOMER_ID

GIB = 1024**3
SECRET = "sk-4f9a-sentinel"
PLAN = PlanSpec("pro", "registry.example.com/agent:latest", cpus=2, memory=2 * GIB, container_port=8080)
INSTANCE = InstanceSpec("user123", "127.0.0.1", 20001)


def without_hash(spec: ContainerSpec) -> ContainerSpec:
    labels = {name: value for name, value in spec.labels.items() if name != "dockmgr.spec"}
    return replace(spec, labels=labels)


def test_a_minimal_plan_makes_a_safe_container() -> None:
    assert without_hash(build(PLAN, INSTANCE)) == ContainerSpec(
        name="dockmgr-user123",
        image="registry.example.com/agent:latest",
        labels={
            "dockmgr.managed": "true",
            "dockmgr.customer_id": "user123",
            "dockmgr.plan": "pro",
        },
        env={},
        nano_cpus=2_000_000_000,
        memory=2 * GIB,
        pids_limit=512,
        container_port=8080,
        bind_address="127.0.0.1",
        host_port=20001,
        volumes={"dockmgr-user123-data": "/data"},
        stop_timeout=10,
        restart_policy="unless-stopped",
        security_opt=("no-new-privileges",),
        options=Options.model_validate(
            {"init": True, "logging": {"options": {"max-size": "10m", "max-file": "3"}}}
        ),
    )


def test_a_full_plan_is_rendered_field_by_field() -> None:
    plan = PlanSpec(
        name="free",
        image="agent:1",
        cpus=0.5,
        memory=512 * 1024**2,
        container_port=18789,
        pids=100,
        stop_timeout=30,
        data_path="/srv/data",
        env={"TZ": "UTC", "MODE": "plan"},
    )
    instance = InstanceSpec(
        customer_id="a-b",
        bind_address="10.0.0.7",
        port=29999,
        image="sha256:" + "a" * 64,
        env={"MODE": "customer", "API_KEY": SECRET},
        expires_at="2026-01-01T00:00:00+00:00",
    )
    assert without_hash(build(plan, instance)) == ContainerSpec(
        name="dockmgr-a-b",
        image="sha256:" + "a" * 64,
        labels={
            "dockmgr.managed": "true",
            "dockmgr.customer_id": "a-b",
            "dockmgr.plan": "free",
            "dockmgr.expires_at": "2026-01-01T00:00:00+00:00",
        },
        env={"TZ": "UTC", "MODE": "customer", "API_KEY": SECRET},
        nano_cpus=500_000_000,
        memory=512 * 1024**2,
        pids_limit=100,
        container_port=18789,
        bind_address="10.0.0.7",
        host_port=29999,
        volumes={"dockmgr-a-b-data": "/srv/data"},
        stop_timeout=30,
    )


def test_a_plan_without_data_path_makes_no_volume() -> None:
    spec = build(replace(PLAN, data_path=None), INSTANCE)
    assert spec.volumes == {}


def test_building_changes_neither_plan_nor_instance() -> None:
    plan_env, own_env = {"A": "1"}, {"A": "2"}
    build(replace(PLAN, env=plan_env), replace(INSTANCE, env=own_env))
    assert (plan_env, own_env) == ({"A": "1"}, {"A": "2"})


@pytest.mark.parametrize(
    ("plan", "own", "result"),
    [
        ({"A": "plan"}, {}, {"A": "plan"}),
        ({"A": "plan"}, {"A": "own"}, {"A": "own"}),
        ({"A": "plan"}, {"A": ""}, {"A": ""}),
        ({"A": "plan"}, {"B": "own"}, {"A": "plan", "B": "own"}),
    ],
)
def test_the_customers_values_win(
    plan: dict[str, str], own: dict[str, str], result: Mapping[str, str]
) -> None:
    assert build(replace(PLAN, env=plan), replace(INSTANCE, env=own)).env == result


def test_the_spec_carries_its_own_hash() -> None:
    spec = build(PLAN, INSTANCE)
    assert spec.labels["dockmgr.spec"] == spec_hash(spec) == spec_hash(without_hash(spec))


def test_equal_specs_have_equal_hashes_whatever_the_order_of_their_mappings() -> None:
    one = replace(build(PLAN, INSTANCE), env={"A": "1", "B": "2"}, labels={"x": "1", "y": "2"})
    other = replace(build(PLAN, INSTANCE), env={"B": "2", "A": "1"}, labels={"y": "2", "x": "1"})
    assert spec_hash(one) == spec_hash(other)


CHANGED: dict[str, object] = {
    "name": "dockmgr-other",
    "image": "agent:2",
    "labels": {"dockmgr.managed": "true"},
    "env": {"A": "1"},
    "nano_cpus": 1,
    "memory": 1,
    "pids_limit": 1,
    "container_port": 1,
    "bind_address": "0.0.0.0",
    "host_port": 1,
    "further_ports": {"9090/tcp": 1},
    "volumes": {"another": "/other"},
    "stop_timeout": 99,
    "restart_policy": "no",
    "security_opt": (),
    "options": Options(init=False),
    "network": "dockmgr",
    "raw": {"HostConfig": {"Memory": 1}},
}


def test_the_hash_changes_with_every_field() -> None:
    assert {*CHANGED, "former_hash"} == {field.name for field in fields(ContainerSpec)}
    spec = build(PLAN, INSTANCE)
    hashes = {spec_hash(replace(spec, **{name: value})) for name, value in CHANGED.items()}  # type: ignore[arg-type]
    assert len(hashes | {spec_hash(spec)}) == len(CHANGED) + 1


def owned(owner: str, **options: Any) -> ContainerSpec:
    return build(replace(PLAN, options=Options(data_owner=owner, **options)), INSTANCE)


def test_the_owner_of_new_volumes_makes_no_container_another_one() -> None:
    made = owned("1000:1000").labels
    assert [is_outdated(owned(owner), made) for owner in ("", "1000:1000", "1:1")] == [False] * 3
    assert is_outdated(owned("1000:1000", init=False), made)


def test_what_hardening_stands_for_may_as_well_be_said_word_by_word() -> None:
    short = build(replace(PLAN, options=Options(hardening="baseline")), INSTANCE)
    said = {word: value for word, value in short.options.document().items() if word != "hardening"}
    at_length = build(replace(PLAN, options=Options(**said)), INSTANCE)
    assert not is_outdated(at_length, short.labels)


def test_a_container_of_a_release_that_counted_the_owner_is_none_of_earlier_settings() -> None:
    spec = owned("1000:1000")
    made = {**spec.labels, "dockmgr.spec": spec_hash(spec, of_all=True)}
    assert made != spec.labels
    assert not is_outdated(spec, made)
    assert is_outdated(owned("1000:1000", init=False), made)


def test_the_hash_changes_with_a_value_of_the_environment_and_hides_it() -> None:
    one, other = (build(PLAN, replace(INSTANCE, env={"API_KEY": key})) for key in (SECRET, SECRET + "x"))
    assert spec_hash(one) != spec_hash(other)
    assert SECRET not in str(one.labels)


SECRETIVE = {
    "plan": replace(PLAN, env={"API_KEY": SECRET}),
    "instance": replace(INSTANCE, env={"API_KEY": SECRET}),
    "container": build(PLAN, replace(INSTANCE, env={"API_KEY": SECRET})),
    "container of a secretive plan": build(replace(PLAN, env={"API_KEY": SECRET}), INSTANCE),
}


@pytest.mark.parametrize("value", SECRETIVE.values(), ids=SECRETIVE.keys())
def test_no_repr_shows_the_environment(value: object) -> None:
    assert SECRET not in repr(value)
    assert SECRET not in f"{[value]}"


ALIKE = (
    "a1",
    "acme",
    "acme-next",
    "acme-previous",
    "acme-next-next",
    "next",
    "previous",
    "acme-data",
    "a" * 63,
)


def test_no_customers_container_has_a_name_derived_from_another_ones() -> None:
    own = [container_name(customer) for customer in ALIKE]
    derived = [derive(name) for name in own for derive in (next_name, previous_name)]
    assert len({*own, *derived}) == 3 * len(ALIKE)


ends = st.sampled_from("az09")
between = st.lists(st.sampled_from(["-", "next", "previous", "data", *"az09"])).map("".join)


@given(st.builds(lambda first, rest, last: f"{first}{rest[:61]}{last}", ends, between, ends))
def test_no_customer_id_is_the_rest_of_a_derived_name(customer: str) -> None:
    assert CUSTOMER_ID.fullmatch(customer)
    name = container_name(customer)
    assert (customer_named(name), derived_from(name)) == (customer, "")
    for derived in (next_name(name), previous_name(name)):
        assert derived_from(derived) == name
        assert not CUSTOMER_ID.fullmatch(customer_named(derived))


@pytest.mark.parametrize("name", ["", "web", "mydockmgr-web", "dockmgr_web"])
def test_a_name_of_another_form_is_no_customers(name: str) -> None:
    assert (customer_named(name), derived_from(name)) == ("", "")


ADOPTED = build(PLAN, replace(INSTANCE, container="web", adopted={"Port": 8080}))
OUTDATED: dict[str, tuple[ContainerSpec, Mapping[str, str], bool]] = {
    "made from these settings": (build(PLAN, INSTANCE), build(PLAN, INSTANCE).labels, False),
    "made from others": (build(PLAN, INSTANCE), build(replace(PLAN, cpus=1), INSTANCE).labels, True),
    "made from nobody knows what": (build(PLAN, INSTANCE), {}, True),
    "adopted and as it was": (ADOPTED, {"team": "a"}, False),
    "adopted and replaced": (ADOPTED, ADOPTED.labels, False),
    "adopted, replaced and changed": (ADOPTED, build(PLAN, INSTANCE).labels, True),
}


@pytest.mark.parametrize(("spec", "labels", "outdated"), OUTDATED.values(), ids=OUTDATED.keys())
def test_a_container_made_from_earlier_settings_is_known_by_its_labels(
    spec: ContainerSpec, labels: Mapping[str, str], outdated: bool
) -> None:
    assert is_outdated(spec, labels) is outdated
