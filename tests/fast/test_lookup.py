"""What somebody names is found, or one sentence says that there is none of it."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import pytest

from instances import lookup
from instances.access.tokens import issue
from instances.db.clock import SYSTEM
from instances.errors import RequestError
from instances.models import Channel, Incident, Operation
from instances.operations import service
from tests.factories import ASKED, World

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
NAMED: dict[str, LookUp] = {
    "host": lookup.host,
    "plan": lookup.plan,
    "channel": lookup.channel,
    "token": lookup.token,
}
MALFORMED: list[object] = [None, 5, ["pro"], "", "x" * 65, "nul\0", "line\nbreak", "half \ud800", "\u202eorp"]


@pytest.mark.parametrize(("look_up", "asked", "sentence"), UNKNOWN.values(), ids=UNKNOWN.keys())
def test_what_is_unknown_is_told_in_one_form(
    world: World, look_up: LookUp, asked: object, sentence: str
) -> None:
    with pytest.raises(RequestError) as refused:
        look_up(asked)
    assert str(refused.value) == sentence


@pytest.mark.parametrize("asked", MALFORMED, ids=repr)
@pytest.mark.parametrize("look_up", NAMED.values(), ids=NAMED.keys())
def test_what_can_be_no_name_never_reaches_the_database(look_up: LookUp, asked: object) -> None:
    with pytest.raises(RequestError, match=r"^The name is malformed: 1 to 64 printable characters"):
        look_up(asked)


@pytest.mark.parametrize("number", ["", "x", "-1", "1.5", "\u0667", "9" * 19, "9" * 40, 2**63])
def test_what_can_be_no_number_of_an_incident_is_refused(number: object) -> None:
    with pytest.raises(RequestError, match=r"^There is no incident of that number\.$"):
        lookup.incident(number)


@pytest.mark.parametrize("asked", ["", "x", None, 7])
def test_what_can_be_no_id_of_an_operation_is_refused(asked: object) -> None:
    with pytest.raises(RequestError, match=r"^There is no operation of that id\.$"):
        lookup.operation(asked)


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
