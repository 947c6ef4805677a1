"""What makes an update replace a container that runs its image already, and what does not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from instances.containers.facts import ContainerFacts
from instances.containers.made_anew import must_be
from instances.containers.options import DEFAULT_LOG, Logging, Options
from instances.containers.spec import SPEC_LABEL, ContainerSpec, InstanceSpec, PlanSpec, build
from tests.fakes.facts import created_facts, image_facts

IMAGE = image_facts("one", env={"PATH": "/bin", "VERSION": "1"}, labels={"by": "us"})
PLAN = PlanSpec(
    name="pro", image="agent:1", cpus=1, memory=64 << 20, container_port=8080,
    options=Options(labels={"a": "b"}, ulimits={"nofile": (9, 9)}),
)  # fmt: skip
SPEC = build(PLAN, InstanceSpec("c1", "127.0.0.1", 20001, env={"KEY": "k"}, network="dockmgr"))
FACTS = replace(created_facts("c0ffee", SPEC, IMAGE), state="running")
OLDER = {SPEC_LABEL: "of another spec"}
TAGGED = Logging(options={**DEFAULT_LOG, "tag": "x"})
# The same container, but for this; whether it is made anew with this spec's mark, and with another one.
CASES: dict[str, tuple[dict[str, Any], bool, bool]] = {
    "nothing": ({}, False, False),
    "a variable lacks": ({"env": {"PATH": "/bin", "VERSION": "1"}}, True, True),
    "a variable more": ({"env": {**FACTS.env, "OLD": "x"}}, False, True),
    "a variable of the image's with another value": ({"env": {**FACTS.env, "VERSION": "2"}}, False, True),
    "a label more": ({"labels": {**FACTS.labels, "old": "x"}}, False, True),
    "a label of the image's with another value": ({"labels": {**FACTS.labels, "by": "me"}}, False, True),
    "a label of ours": ({"labels": {**FACTS.labels, "dockmgr.operation": "x"}}, False, False),
    "a limit more": (
        {"options": {**FACTS.options, "ulimits": {"nofile": (9, 9), "nproc": (1, 1)}}},
        False,
        True,
    ),
    "a limit less": ({"options": {**FACTS.options, "ulimits": {}}}, True, True),
    "an option of its log more": ({"options": {**FACTS.options, "logging": TAGGED}}, False, True),
    "another time to stop": ({"options": {**FACTS.options, "stop_timeout": 99}}, True, True),
    "a time to stop that is not told": (
        {"options": {k: v for k, v in FACTS.options.items() if k != "stop_timeout"}},
        False,
        False,
    ),
    "another restart policy": ({"restart_policy": "no"}, False, False),
}


@pytest.mark.parametrize(("changes", "same_mark", "other_mark"), CASES.values(), ids=CASES)
def test_what_was_taken_back_counts_where_the_mark_is_of_another_spec(
    changes: dict[str, Any], same_mark: bool, other_mark: bool
) -> None:
    facts = replace(FACTS, **changes)
    older = replace(facts, labels={**facts.labels, **OLDER})
    assert must_be(SPEC, facts, IMAGE.id, IMAGE) is same_mark
    assert must_be(SPEC, older, IMAGE.id, IMAGE) is other_mark


ADOPTED: ContainerSpec = replace(SPEC, raw={"Config": {"Env": ["BARE"]}, "HostConfig": {}})
# What its environment is: whether it is made anew.
OF_ADOPTED: dict[str, tuple[dict[str, str], bool]] = {
    "as it was": ({"KEY": "k", "BARE": "", "PATH": "/bin", "VERSION": "1"}, False),
    "a value of before": ({"KEY": "old", "BARE": "", "PATH": "/bin"}, True),
    "a variable lacks": ({"BARE": "", "PATH": "/bin"}, True),
    "a variable that was removed": ({"KEY": "k", "BARE": "", "OLD": "x"}, True),
    "without a variable of its image": ({"KEY": "k", "BARE": ""}, False),
}


@pytest.mark.parametrize(("env", "anew"), OF_ADOPTED.values(), ids=OF_ADOPTED)
def test_of_an_adopted_container_its_environment_alone_counts(env: dict[str, str], anew: bool) -> None:
    facts: ContainerFacts = replace(FACTS, env=env, labels={}, memory=1, ports={}, options={})
    assert must_be(ADOPTED, facts, IMAGE.id, IMAGE) is anew


def test_nobody_knows_what_was_taken_back_where_the_image_is_gone() -> None:
    facts = replace(FACTS, env={**FACTS.env, "OLD": "x"}, labels={**FACTS.labels, **OLDER, "old": "x"})
    assert not must_be(SPEC, facts, IMAGE.id, None)
