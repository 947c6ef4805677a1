"""Secrets that are made once for a customer, kept encrypted, and shown once to whoever asks for it."""

from __future__ import annotations

import logging

import pytest

from instances import lookup
from instances.fleet.apply import apply
from instances.fleet.file import parse
from instances.models import Instance, Operation
from tests.factories import World
from tests.fast.conftest import Run
from tests.fast.updates import publish, update

pytestmark = pytest.mark.django_db
NEW = ("provision", "--customer-id", "new", "--subdomain", "new.io", "--plan", "pro", "--env", "API_KEY=k")


@pytest.fixture(autouse=True)
def plan_makes_secrets(world: World) -> None:
    apply(
        parse("plans: [{name: pro, generate: {GATEWAY_TOKEN: 32}, required_env: [API_KEY, GATEWAY_TOKEN]}]")
    )


def token() -> str:
    return str(lookup.instance("new").env["GATEWAY_TOKEN"])


@pytest.mark.parametrize("as_json", [(), ("--json",)])
def test_it_is_shown_once_and_only_when_that_is_asked_for(
    world: World, run: Run, caplog: pytest.LogCaptureFixture, as_json: tuple[str, ...]
) -> None:
    caplog.set_level(logging.DEBUG)
    again = ("--request-id", "r1", *as_json)
    ran = run(*NEW, *again)
    assert ran.code == 0
    assert len(token()) == 64
    assert token() not in ran.out + ran.err + caplog.text
    shown = run(*NEW, "--show-generated", *again)
    assert token() in shown.out
    assert token() not in shown.err + caplog.text
    assert token() not in run(*NEW, "--show-generated", *again).out
    assert token() not in str(list(Operation.objects.values())) + str(list(Instance.objects.values()))
    if as_json:
        assert "generated" not in ran.document
        assert shown.document["generated"] == {"GATEWAY_TOKEN": token()}


def test_what_is_given_is_taken_and_shown_to_nobody(world: World, run: Run) -> None:
    ran = run(*NEW, "--env", "GATEWAY_TOKEN=given-by-hand", "--show-generated", "--json")
    assert (ran.document["generated"], token()) == ({}, "given-by-hand")


def test_two_customers_have_two_and_what_a_plan_comes_to_ask_for_is_made_with_the_next_container(
    world: World, run: Run
) -> None:
    world.provision()
    world.provision("other")
    mine = token()
    assert mine != lookup.instance("other").env["GATEWAY_TOKEN"]
    apply(parse("plans: [{name: pro, generate: {GATEWAY_TOKEN: 32, LATER: 8}}]"))
    said = run("validate", "--customer-id", "new", "--json").document["warnings"]
    told = {"code": "generate", "message": "It lacks LATER, which its next update makes."}
    assert told in said
    publish(world)
    assert update(world, "new").status == "succeeded"
    facts = world.engine.inspect("dockmgr-new")
    assert facts is not None
    assert facts.env["GATEWAY_TOKEN"] == mine == token()
    assert facts.env["LATER"] == lookup.instance("new").env["LATER"]


def test_what_workers_make_cannot_be_shown(world: World, run: Run) -> None:
    assert run(*NEW, "--enqueue", "--show-generated").code == 2
