"""A fleet file as people who come from Compose write it, and what they are told when it can't be taken."""

from __future__ import annotations

import pytest

from instances.errors import RequestError
from instances.fleet.as_written import MAX_CHARACTERS
from instances.fleet.file import parse, parse_mapping

SHARED = """
x-small: &small
  cpus: 0.5
  env: &env {TZ: UTC}
plans:
  - {<<: *small, name: a}
  - <<: *small
    name: b
    cpus: 2
    env: {<<: *env, MODE: b}
channels:
"""
# file: what is said of it
REFUSED = {
    "hosts:\n- name: a\n  bind: ''\n  tls: null\n  bind: ''": "bind stands twice, again in line 5",
    "x-a: 1\nhosts: []\nx-a: 2": "a key stands twice, again in line 3",
    "plans: []\n# " + "x" * MAX_CHARACTERS: "it has 1,048,588 characters, and 1,048,576 are the most",
    "plans: [{name: a, health-path: /x}]": "plans.0.a key: is not a known key: say health_path",
    "hosts: [{name: a, docker-url: x}]": "hosts.0.a key: is not a known key: say docker_url",
    "registries: [{name: a, token-file: /x}]": "registries.0.a key: is not a known key: say token_file",
    "plans: [{name: a, sk-proj-aaaa: x}]": "plans.0.a key: is not a known key",
    "plans: [{name: a, x-small: 1}]": "plans.0.a key: is not a known key",
}


def test_what_plans_share_is_said_once() -> None:
    one, other = parse(SHARED).plans
    assert (one.cpus, one.env) == (0.5, {"TZ": "UTC"})
    assert (other.cpus, other.env) == (2, {"TZ": "UTC", "MODE": "b"})


@pytest.mark.parametrize(("text", "said"), REFUSED.items(), ids=REFUSED.values())
def test_what_is_wrong_is_said_with_its_place(text: str, said: str) -> None:
    with pytest.raises(RequestError) as refusal:
        parse(text)
    assert str(refusal.value) == f"The fleet file is refused: {said}."


def test_a_key_of_a_part_that_stands_twice_is_named() -> None:
    with pytest.raises(RequestError, match=r"^This is refused: init stands twice, again in line 2\.$"):
        parse_mapping("init: true\ninit: false")
