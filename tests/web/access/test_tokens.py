"""Tokens: shown once, kept as hashes, over when they are said to be."""

from __future__ import annotations

import hashlib
import re
from datetime import timedelta
from typing import Any

import pytest
from django.core import serializers

from instances.access import tokens
from instances.errors import RequestError
from instances.models import ApiToken, AuditEntry
from tests.factories import World
from tests.fast.conftest import Run
from tests.web.callers import OVER_HTTP, Caller, a_caller

pytestmark = OVER_HTTP


def test_a_token_is_shown_once_and_kept_as_a_hash(world: World, run: Run) -> None:
    ran = run("create_token", "billing", "--scope", "operate", "--json")
    text = ran.document["token"]
    assert (ran.code, re.fullmatch(r"dm_[A-Za-z0-9_-]{43}", text) is not None) == (0, True)
    token = ApiToken.objects.get()
    assert (token.name, token.scope, token.created_by[:4]) == ("billing", "operate", "cli:")
    assert token.digest == hashlib.sha256(text.encode()).hexdigest()
    everything = serializers.serialize("json", [token, *AuditEntry.objects.all()])
    assert text not in everything + run("tokens", "--json").out + run("tokens").out
    assert text.startswith(token.prefix)


def test_a_token_may_be_limited(world: World, run: Run) -> None:
    words = ("--customer-id", "b", "--customer-id", "a", "--plan", "pro", "--host", "local")
    assert run("create_token", "billing", "--scope", "read", *words).code == 2  # one letter is no customer id
    words = ("--customer-id", "c2", "--customer-id", "c1", "--plan", "pro", "--host", "local")
    assert run("create_token", "billing", "--scope", "read", *words).code == 0
    [row] = run("tokens", "--json").document
    assert (row["customers"], row["plans"], row["hosts"]) == (["c1", "c2"], ["pro"], ["local"])


def test_people_get_the_token_alone_on_standard_output(world: World, run: Run) -> None:
    ran = run("create_token", "billing", "--scope", "read", "--expires", "30d")
    assert re.fullmatch(r"dm_[A-Za-z0-9_-]{43}\n", ran.out)
    assert "may read until 2026-03-31T12:00:00Z" in ran.err


WRONG: list[tuple[tuple[str, ...], str]] = [
    (("create_token", "a b", "--scope", "read"), "A token's name has"),
    (("create_token", "x" * 61, "--scope", "read"), "A token's name has"),
    (("create_token", "known", "--scope", "read"), "There is a token named known already."),
    (("create_token", "new", "--scope", "root"), "Argument --scope: invalid choice"),
    (("create_token", "new", "--scope", "read", "--expires", "soon"), "How long the token lasts"),
    (("create_token", "new", "--scope", "read", "--expires", "0d"), "The token would have expired"),
    (("create_token", "new", "--scope", "read", "--plan", "nosuch"), "There is no plan named nosuch"),
    (("create_token", "new", "--scope", "read", "--host", "nosuch"), "There is no host named nosuch"),
    (("create_token", "new", "--scope", "read", "--customer-id", "No!"), "The customer id"),
    (("revoke_token", "unknown"), "There is no token named unknown."),
]


@pytest.mark.parametrize(("words", "sentence"), WRONG)
def test_a_wrong_request_for_a_token_is_refused(
    world: World, run: Run, words: tuple[str, ...], sentence: str
) -> None:
    a_caller(world, name="known")
    ran = run(*words, "--json")
    assert (ran.code, ran.err.startswith(sentence), ApiToken.objects.count()) == (2, True, 1)
    assert "token" not in ran.document


def test_a_revoked_token_opens_nothing_and_its_name_stays_taken(
    world: World, caller: Caller, run: Run
) -> None:
    assert caller.get("/instances").status == 200
    assert run("revoke_token", "admin", "--json").document["revoked_at"] == "2026-03-01T12:00:00Z"
    assert caller.get("/instances").kind == "unauthenticated"
    world.clock.advance(60)
    assert run("revoke_token", "admin", "--json").document["revoked_at"] == "2026-03-01T12:00:00Z"
    with pytest.raises(RequestError, match="named admin already"):
        a_caller(world)


def test_a_token_ends_when_it_was_said_to(world: World, caller: Caller) -> None:
    token, text = tokens.issue("short", "read", "tests", world.now, world.now + timedelta(hours=1))
    short = Caller(token, text)
    world.clock.advance(3599)
    assert short.get("/instances").status == 200
    world.clock.advance(1)
    assert short.get("/instances").kind == "unauthenticated"


def test_the_last_use_is_noted_once_a_minute(
    world: World, caller: Caller, django_assert_num_queries: Any
) -> None:
    def used() -> Any:
        return ApiToken.objects.get(pk=caller.token.pk).last_used_at

    assert used() is None
    first = world.now
    caller.get("/instances")
    world.clock.advance(59)
    with django_assert_num_queries(1):
        assert tokens.recognise(caller.text, world.now) is not None
    assert used() == first
    world.clock.advance(1)
    caller.get("/instances")
    assert used() == world.now


def test_what_has_not_the_form_of_a_token_is_not_looked_up(
    world: World, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(0):
        for text in ("", "dm_", "dm_" + "x" * 44, "dm_" + "ü" * 43, f"dm_{'x' * 42}\0"):
            assert tokens.recognise(text, world.now) is None


@pytest.mark.parametrize("scope", tokens.SCOPES)
def test_a_scope_covers_those_below_it(world: World, scope: str) -> None:
    token = a_caller(world, scope).token
    covered = [other for other in tokens.SCOPES if tokens.allows(token, other)]
    assert covered == list(tokens.SCOPES[: tokens.SCOPES.index(scope) + 1])


def test_tokens_differ(world: World) -> None:
    made = {a_caller(world, name=f"t{number}").text for number in range(20)}
    assert len(made) == 20
