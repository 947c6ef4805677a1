"""A token that is limited to customers, plans or hosts: nothing of others is shown, changed or told apart."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from instances.access import tokens
from instances.access.reach import Reach
from instances.db.clock import SYSTEM
from instances.lib.calendar import hour_of
from instances.models import Host, Instance, Operation, Plan, UsageHour
from tests.factories import World
from tests.web.api.test_roles_in_the_api import ROUTES
from tests.web.callers import OVER_HTTP, Answer, Caller, Workers

pytestmark = OVER_HTTP
NEW = {"customer_id": "new", "subdomain": "new.example.com", "plan": "pro"}


@pytest.fixture
def others(world: World) -> Instance:
    """A customer of another plan on another host, with an operation and an incident."""
    plan = Plan.objects.create(name="gold", image=world.plan.image)
    host = Host.objects.create(
        name="far", docker_url="unix:///fake/far.sock", first_port=40000, last_port=40999
    )
    theirs = world.instance("theirs", host=host)
    Instance.objects.filter(pk=theirs.pk).update(plan=plan)
    world.restart("theirs")
    world.incident(theirs)
    return theirs


LIMITS = {
    "customer": Reach(customers=frozenset({"ours", "new", "mine"})),
    "plan": Reach(plans=frozenset({"pro"})),
    "host": Reach(hosts=frozenset({"local"})),
    "all three": Reach(frozenset({"ours"}), frozenset({"pro", "gold"}), frozenset({"local", "far"})),
}


@pytest.fixture(params=list(LIMITS.values()), ids=list(LIMITS))
def limited(world: World, others: Instance, request: pytest.FixtureRequest) -> Caller:
    world.incident(world.instance("ours"))
    world.restart("ours")
    return Caller(*tokens.issue("limited", "admin", "tests", world.now, limit=request.param))


def customers(answer: Answer) -> set[str]:
    return {item["customer_id"] for item in answer.document["items"]}


def test_lists_hold_what_the_token_is_for(limited: Caller) -> None:
    for path in ("/instances", "/operations", "/incidents"):
        assert customers(limited.get(path)) == {"ours"}, path


def test_usage_is_that_of_whom_the_token_is_for(world: World, limited: Caller, others: Instance) -> None:
    for instance in (Instance.objects.get(customer_id="ours"), others):
        UsageHour.objects.create(
            instance=instance, at=hour_of(SYSTEM.now()) - timedelta(hours=5), seconds=3600
        )
    assert [row["customer_id"] for row in limited.get("/usage").document] == ["ours"]
    assert limited.get("/usage?customer_id=theirs").document == []
    assert "theirs" not in limited.get("/usage.csv").text


def of_others(theirs: Instance) -> list[tuple[str, str]]:
    """Every route about one customer, asked about another's."""
    ids: dict[str, Any] = {
        "operation": Operation.objects.get(customer_id="theirs").pk,
        "incident": theirs.incidents.get().pk,
        "trial": "00000000-0000-0000-0000-000000000000",
    }
    asked = [(each.method, each.path.replace("/c1", "/theirs").replace("/c2", "/theirs")) for each in ROUTES]
    named = [(method, path.format(**ids)) for method, path in asked]
    return [
        (method, path)
        for method, path in named
        if "theirs" in path or any(str(i) in path for i in ids.values())
    ]


def test_of_others_nothing_is_known_by_any_route(limited: Caller, others: Instance) -> None:
    answers = {(method, path): limited.ask(method, path) for method, path in of_others(others)}
    assert len(answers) > 12
    assert {ask: (answer.status, answer.kind) for ask, answer in answers.items()} == dict.fromkeys(
        answers, (404, "unknown")
    )
    details = {answer.document["detail"] for answer in answers.values()}
    assert all(detail.startswith("There is no ") for detail in details), details
    assert Operation.objects.filter(customer_id="theirs").count() == 1


WHOLE = [
    ("GET", "/sweeps/latest"),
    ("POST", "/sweeps"),
    ("GET", "/orphans"),
]


def test_what_is_about_the_whole_fleet_is_refused(limited: Caller) -> None:
    for method, path in WHOLE:
        answer = limited.ask(method, path)
        assert (answer.status, answer.kind) == (403, "forbidden"), path
        assert "limited is limited to the " in answer.document["detail"]


def test_every_route_heeds_the_limit_or_refuses_it() -> None:
    about_one = {(route.method, route.template) for route in ROUTES if "{" in route.template}
    lists = {
        ("GET", f"/{name}")
        for name in ("instances", "operations", "incidents", "events", "usage", "usage.csv")
    }
    made = {("POST", "/instances"), ("POST", "/test-deployments")}
    known = about_one | lists | made | set(WHOLE)
    assert {(route.method, route.template) for route in ROUTES} == known


ORDERS: list[tuple[Reach, dict[str, Any], int]] = [
    (LIMITS["customer"], {}, 202),
    (LIMITS["customer"], {"customer_id": "other"}, 403),
    (LIMITS["plan"], {}, 202),
    (LIMITS["plan"], {"plan": "gold"}, 403),
    (LIMITS["host"], {}, 403),
    (LIMITS["host"], {"host": "far"}, 403),
    (LIMITS["host"], {"host": "local"}, 202),
]


@pytest.mark.parametrize(("limit", "changed", "status"), ORDERS)
def test_what_is_made_is_within_the_limit(
    world: World, others: Instance, workers: Workers, limit: Reach, changed: dict[str, Any], status: int
) -> None:
    caller = Caller(*tokens.issue("limited", "admin", "tests", world.now, limit=limit))
    answer = caller.post("/instances", {**NEW, **changed})
    assert answer.status == status, answer.text
    trial = caller.post(
        "/test-deployments",
        {key: value for key, value in {**NEW, **changed}.items() if key in ("plan", "host")},
    )
    assert trial.status == (403 if limit.customers else status)


@pytest.mark.parametrize("former", ["keep_data", "fresh"])
@pytest.mark.parametrize("by", ["plan", "host"])
def test_former_data_of_others_is_neither_taken_nor_deleted(
    world: World, others: Instance, workers: Workers, by: str, former: str
) -> None:
    caller = Caller(*tokens.issue("limited", "admin", "tests", world.now, limit=LIMITS[by]))
    order = {**NEW, "customer_id": "theirs", "host": "local", former: True}
    Instance.objects.filter(pk=others.pk).update(
        decommissioned_at=world.now, volumes={"theirs-data": "/data"}
    )
    answer = caller.post("/instances", order)
    assert (answer.status, answer.kind) == (403, "forbidden")
    assert not Operation.objects.filter(kind="provision").exists()
    Instance.objects.filter(pk=others.pk).update(plan=world.plan, host=world.host)
    assert caller.post("/instances", order).status == 202


def test_a_test_deployment_is_shown_to_who_asked_for_it(
    world: World, caller: Caller, workers: Workers
) -> None:
    world.instance("ours")
    asked = caller.post("/test-deployments", {"plan": "pro"}).document["id"]
    other = Caller(*tokens.issue("limited", "admin", "tests", world.now, limit=LIMITS["plan"]))
    own = other.post("/test-deployments", {"plan": "pro"}).document["id"]
    assert (other.get(f"/test-deployments/{asked}").status, other.get(f"/test-deployments/{own}").status) == (
        404,
        200,
    )
