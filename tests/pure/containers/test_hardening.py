"""What each preset takes from a container, and that what a plan says itself wins."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from instances.containers.facts import EngineFacts
from instances.containers.hardening import NOT_NEEDED, WRITABLE, hardened
from instances.containers.image_fit import problems
from instances.containers.options import Options
from instances.containers.spec import InstanceSpec, PlanSpec, build
from tests.fakes.facts import image_facts

ENGINE = EngineFacts("amd64", 4, 8 << 30, "")
BASELINE = {"cap_drop": NOT_NEEDED}
WITHOUT_NET_RAW = ("AUDIT_WRITE", "MKNOD", "SETFCAP")
RESTRICTED = {"cap_drop": ("ALL",), "read_only": True, "tmpfs": WRITABLE}


@pytest.mark.parametrize(
    ("said", "comes"),
    [
        ({}, {}),
        ({"hardening": "none"}, {}),
        ({"hardening": "baseline"}, BASELINE),
        ({"hardening": "baseline", "cap_add": ["NET_RAW"]}, {"cap_drop": WITHOUT_NET_RAW}),
        ({"hardening": "baseline", "cap_add": ["ALL"]}, {}),
        ({"hardening": "baseline", "cap_drop": ["WAKE_ALARM"]}, {"cap_drop": (*NOT_NEEDED, "WAKE_ALARM")}),
        ({"hardening": "restricted"}, RESTRICTED),
        ({"hardening": "restricted", "read_only": False}, {"cap_drop": ("ALL",), "read_only": False}),
        ({"hardening": "restricted", "tmpfs": {"/run": "1m"}}, {
            **RESTRICTED, "tmpfs": {**WRITABLE, "/run": "size=1048576"}}),
        ({"hardening": "restricted", "volumes": {"t": "/tmp"}}, {
            **RESTRICTED, "tmpfs": {"/run": WRITABLE["/run"]}}),
    ],
)  # fmt: skip
def test_a_preset_adds_to_what_is_said(said: dict[str, Any], comes: dict[str, Any]) -> None:
    options = Options.model_validate(said)
    made = hardened(options, frozenset(options.volumes.values()))
    usual: dict[str, Any] = {"cap_drop": (), "read_only": None, "tmpfs": {}}
    assert {word: getattr(made, word) for word in usual} == {**usual, **comes}
    assert Options.model_validate(options.document()) == options


def test_the_builder_renders_it_and_the_image_may_declare_what_it_mounts() -> None:
    options = Options.model_validate({"hardening": "restricted", "user": "1000"})
    plan = PlanSpec("pro", "agent:1", 1, 1 << 30, 8080, options=options)
    spec = build(plan, InstanceSpec("user1", "127.0.0.1", 1))
    assert (spec.options.cap_drop, spec.options.read_only) == (("ALL",), True)
    assert list(problems(image_facts("one", volumes=("/run", "/data")), plan, ENGINE)) == []


@pytest.mark.parametrize(
    ("user", "of_image", "refused"),
    [("", "", True), ("", "root", True), ("", "0:0", True), ("", "app", False), ("1000", "root", False)],
)
def test_restricted_refuses_root(user: str, of_image: str, refused: bool) -> None:
    options = Options.model_validate({"hardening": "restricted", "user": user})
    plan = PlanSpec("pro", "agent:1", 1, 1 << 30, 8080, options=options)
    found = " ".join(problems(image_facts("one", options={"user": of_image}), plan, ENGINE))
    assert ("runs as root, which plan pro refuses" in found) is refused


@pytest.mark.parametrize(
    "said",
    [
        {"hardening": "hard"},
        {"hardening": "restricted", "user": "root"},
        {"hardening": "restricted", "user": "0:0"},
        {"data_owner": "app:app"},
        {"data_owner": "1000"},
    ],
)
def test_what_can_not_be_is_refused(said: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Options.model_validate(said)
