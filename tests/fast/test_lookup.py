"""What somebody names is found, or one sentence says that there is none of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from pytest_django import DjangoAssertNumQueries

from instances import lookup
from instances.access.tokens import issue
from instances.db.clock import SYSTEM
from instances.errors import RequestError
from instances.models import Channel, Incident, Operation
from instances.operations import service
from tests.factories import ASKED, World
from tests.rows import row

pytestmark = pytest.mark.django_db
LookUp = Callable[[object], object]
ID = "6f1f0f5e-0000-4000-8000-000000000000"
PLANS = "known are enterprise, free, pro."
SECRET = "sk-" + "s3ntinel" * 4

UNKNOWN: dict[str, tuple[LookUp, object, str]] = {
    "a customer": (lookup.instance, "nobody", "There is no instance of customer nobody."),
    "a subdomain": (
        lookup.instance_of_subdomain, "x9.test", "There is no instance with the subdomain x9.test."
    ),
    "a host": (lookup.host, "mars", "There is no host named mars; known are local."),
    "a plan": (lookup.plan, "gold", f"There is no plan named gold; {PLANS}"),
    "a channel": (lookup.channel, "ops", "There is no channel named ops; none is known."),
    "a token": (lookup.token, "billing", "There is no token named billing."),
    "an operation": (lookup.operation, UUID(ID), f"There is no operation {ID}."),
    "an operation, as text": (lookup.operation, ID, f"There is no operation {ID}."),
    "an incident": (lookup.incident, 7, "There is no incident 7."),
    "an incident, as text": (lookup.incident, "7", "There is no incident 7."),
    "a name with markup": (lookup.plan, "<b>x</b>", f"There is no plan of that name; {PLANS}"),
    "a secret in place of a name": (lookup.plan, SECRET, f"There is no plan of that name; {PLANS}"),
    "an address in place of a name": (
        lookup.channel, "json://me:s3ntinel@host", "There is no channel of that name; none is known."
    ),
    "a token in place of its name": (lookup.token, f"dm_{'a' * 43}", "There is no token of that name."),
}  # fmt: skip
NO_NAMES: list[object] = [None, 5, ["pro"], "", "x" * 65, "nul\0", "line\nbreak", "half \ud800", "\u202eorp"]
NO_NUMBERS: list[object] = ["", "x", "-1", "1.5", "\u0667", "9" * 19, "9" * 40, 2**63]
MALFORMED: list[tuple[Any, object, str]] = [
    *(
        (look_up, asked, r"^The name is malformed: 1 to 64 printable characters")
        for look_up in (lookup.host, lookup.plan, lookup.channel, lookup.token)
        for asked in NO_NAMES
    ),
    *((lookup.incident, number, r"^There is no incident of that number\.$") for number in NO_NUMBERS),
    *((lookup.operation, asked, r"^There is no operation of that id\.$") for asked in ("", "x", None, 7)),
]


def test_what_is_unknown_is_told_in_one_form(world: World) -> None:
    for what, (look_up, asked, sentence) in UNKNOWN.items():
        with row(what), pytest.raises(RequestError, match=f"^{re.escape(sentence)}$"):
            look_up(asked)


def test_what_can_be_nobody_s_name_or_number_never_reaches_the_database(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    with django_assert_num_queries(0):
        for look_up, asked, sentence in MALFORMED:
            with row(look_up.__name__, asked), pytest.raises(RequestError, match=sentence):
                look_up(asked)


def test_no_customer_is_told_of_another(world: World) -> None:
    world.instance("c1")
    with pytest.raises(RequestError) as refused:
        lookup.instance("c2")
    assert "c1" not in str(refused.value)


def test_what_is_known_is_found(world: World) -> None:
    instance = world.instance("c1")
    channel = Channel.objects.create(name="ops", url="json://127.0.0.1/x")
    token, _ = issue("billing", "read", "test", SYSTEM.now())
    begun = service.begin_restart("c1", ASKED, world.outside)
    assert lookup.instance("c1") == lookup.instance_of_subdomain("c1.example.com") == instance
    assert (lookup.host("local"), lookup.plan("pro")) == (world.host, world.plan)
    assert (lookup.channel("ops"), lookup.token("billing")) == (channel, token)
    assert lookup.operation(str(begun.pk)) == Operation.objects.get()


def test_of_incidents_those_that_are_given_are_searched_alone(world: World) -> None:
    assert lookup.incident(world.host_incident().pk) == Incident.objects.get()
    with pytest.raises(RequestError, match=r"^There is no incident 1\.$"):
        lookup.incident(1, Incident.objects.none())


def test_a_gone_instance_is_unknown(world: World) -> None:
    world.instance("c1")
    world.decommission()
    for look_up, asked in ((lookup.instance, "c1"), (lookup.instance_of_subdomain, "c1.example.com")):
        with pytest.raises(RequestError, match="There is no instance"):
            look_up(asked)
