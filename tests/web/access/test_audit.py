"""Who did what, from where, why, and what came of it: from the API and from commands."""

from __future__ import annotations

import getpass
import logging
from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError
from pytest_django.fixtures import Settings

from instances.access import audit, tokens
from instances.api import middleware
from instances.lib.storable import MARK
from instances.management import base
from instances.models import AuditEntry, Operation
from tests.factories import SECRET, World
from tests.fast.conftest import Message, Run
from tests.web.callers import ADDRESS, OVER_HTTP, Caller, Workers, a_caller

pytestmark = OVER_HTTP
Sent = Callable[[str], list[Message]]
NEW = {"customer_id": "new", "subdomain": "new.example.com", "plan": "pro", "env": {"API_KEY": SECRET}}


def entry() -> AuditEntry:
    return AuditEntry.objects.get()


def test_a_change_over_http_is_recorded_with_everything(world: World, caller: Caller, sent: Sent) -> None:
    world.instance("c1")
    caller.post("/instances/c1/restart", {"reason": "slow since noon"})
    found = entry()
    assert (found.surface, found.actor, found.address, found.at) == ("api", "api:admin", ADDRESS, world.now)
    assert (found.action, found.target, found.reason) == ("restart", "c1", "slow since noon")
    assert found.outcome == f"202 operation {Operation.objects.get().pk}"


RECORDED: list[tuple[str, str, Any, str, str]] = [
    ("POST", "/instances", NEW, "provision", "new"),
    ("DELETE", "/instances/c1?reason=ended", None, "decommission", "c1"),
    ("POST", "/instances/c1/update", None, "update", "c1"),
    ("POST", "/instances/c1/pause", None, "pause", "c1"),
    ("POST", "/instances/c1/resume", None, "resume", "c1"),
    ("POST", "/instances/c1/validate", None, "validate", "c1"),
    ("GET", "/instances/c1/logs", None, "logs", "c1"),
    ("POST", "/incidents/7/acknowledge", None, "acknowledge", "7"),
    ("POST", "/test-deployments", {"plan": "pro"}, "test deployment", "pro"),
    ("POST", "/sweeps", None, "sweep", ""),
]


@pytest.mark.parametrize(("method", "path", "body", "action", "target"), RECORDED)
def test_what_changes_something_or_shows_a_log_is_recorded(
    world: World,
    caller: Caller,
    workers: Workers,
    method: str,
    path: str,
    body: Any,
    action: str,
    target: str,
) -> None:
    world.instance("c1")
    answer = caller.ask(method, path, body)
    found = entry()
    assert (found.action, found.target) == (action, target)
    assert found.outcome.startswith(str(answer.status))
    assert SECRET not in str(found.__dict__)


def test_what_is_denied_is_recorded_even_if_it_only_reads(world: World, caller: Caller) -> None:
    caller.get("/instances", authorization="Bearer dm_guess")
    a_caller(world, "read").delete("/instances/c1")
    guess, denied = AuditEntry.objects.order_by("pk")
    assert (guess.actor, guess.action) == ("api:unknown", "GET /api/v1/instances")
    assert guess.outcome == "401 A valid token is needed (Authorization: Bearer …)."
    assert (denied.actor, denied.action) == ("api:read", "decommission")
    assert denied.outcome == "403 This needs a token of scope admin; read has read."


def test_a_refusal_is_recorded_with_its_sentence(world: World, caller: Caller, sent: Sent) -> None:
    world.instance("c1")
    caller.post("/instances", NEW | {"customer_id": "c1"})
    assert entry().outcome == "409 Customer c1 has an instance already."


PROXIES: list[tuple[int, str | None, str]] = [
    (0, "198.51.100.9", ADDRESS),
    (1, None, ADDRESS),
    (1, "198.51.100.9", "198.51.100.9"),
    (1, "6.6.6.6, 198.51.100.9", "198.51.100.9"),
    (2, "6.6.6.6, 198.51.100.9, 10.0.0.1", "198.51.100.9"),
]


@pytest.mark.parametrize(("proxies", "forwarded", "expected"), PROXIES)
def test_the_address_is_what_the_trusted_proxies_saw(
    world: World, caller: Caller, settings: Settings, proxies: int, forwarded: str | None, expected: str
) -> None:
    settings.TRUSTED_PROXIES = proxies
    headers = {} if forwarded is None else {"x-forwarded-for": forwarded}
    caller.post("/instances/c1/pause", **headers)
    assert entry().address == expected


def test_hostile_paths_are_recorded_cut_and_clean(world: World, caller: Caller) -> None:
    caller.get("/instances/%00" + "%F0%9F%92%A3" * 500, authorization="")
    assert (len(entry().action), "\0" in entry().action) == (64, False)


def test_a_database_that_loses_the_entry_does_not_lose_the_answer(
    world: World, caller: Caller, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def lost(*_: object, **__: object) -> None:
        raise OperationalError("connection refused")

    world.instance("c1")
    monkeypatch.setattr(middleware, "audit", lost)
    with caplog.at_level(logging.ERROR, "instances.api"):
        assert caller.post("/instances/c1/pause").status == 200
    assert "The audit log lacks pause by api:admin" in caplog.text


def test_a_command_that_changes_something_is_recorded(world: World, run: Run) -> None:
    world.instance("c1")
    run("restart", "--customer-id", "c1", "--reason", "slow")
    found = entry()
    assert (found.surface, found.actor, found.address) == ("command", f"cli:{getpass.getuser()}", None)
    assert (found.action, found.target, found.reason, found.outcome) == ("restart", "c1", "slow", "done")


REASONED: tuple[tuple[str, ...], ...] = (
    ("create_token", "billing", "--scope", "read"),
    ("revoke_token", "shop"),
    ("logs", "--customer-id", "c1"),
    ("accept_engine", "--host", "local"),
    ("mute", "--customer-id", "c1", "--for", "1h"),
    ("rotate_keys",),
)


@pytest.mark.parametrize("words", REASONED, ids=lambda words: words[0])
def test_every_recorded_command_keeps_why_it_was_given(
    world: World, run: Run, words: tuple[str, ...]
) -> None:
    world.instance("c1")
    tokens.issue("shop", "read", "cli:ana", world.now)
    assert run(*words, "--reason", "asked for by Ana").code == 0
    assert (entry().action, entry().reason) == (words[0], "asked for by Ana")


COMMANDS: list[tuple[tuple[str, ...], list[tuple[str, str, str]]]] = [
    (("pause", "--customer-id", "c1"), [("pause", "c1", "done")]),
    (("logs", "--customer-id", "c1"), [("logs", "c1", "done")]),
    (("create_token", "billing", "--scope", "read"), [("create_token", "billing", "done")]),
    (("instances",), []),
    (("operations",), []),
    (("tokens",), []),
    (("check_health", "--all"), []),
    (("validate", "--customer-id", "c1"), []),
    (("restart", "--customer-id", "unknown"), []),
    (("restart", "--customer-id", "Bad_Id"), []),
]


@pytest.mark.parametrize(("words", "expected"), COMMANDS)
def test_commands_are_recorded_unless_they_only_read_or_were_wrong(
    world: World, run: Run, words: tuple[str, ...], expected: list[tuple[str, str, str]]
) -> None:
    world.instance("c1")
    run(*words)
    assert list(AuditEntry.objects.values_list("action", "target", "outcome")) == expected


def test_a_command_whose_entry_is_lost_says_so_and_ends_as_it_did(
    world: World, run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def lost(*_: object) -> None:
        raise OperationalError("connection refused")

    world.instance("c1")
    monkeypatch.setattr(base, "audit", lost)
    assert run("pause", "--customer-id", "c1").code == 0
    assert "The audit log lacks this command" in caplog.text


def test_texts_are_cut_to_what_the_log_holds(world: World) -> None:
    hostile = "a\0\ud800" * 200
    found = audit.audit(audit.Author("task", hostile, reason=hostile), hostile, hostile, hostile, world.now)
    found.refresh_from_db()
    texts = (found.actor, found.action, found.target, found.reason, found.outcome)
    assert [len(text) for text in texts] == [128, 64, 128, 255, 255]
    assert set("".join(texts)) == {"a", MARK}
