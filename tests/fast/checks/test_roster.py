"""A fleet is known by its numbers, and read a page at a time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from itertools import chain

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from instances.checks import due, listings, roster
from instances.checks.check_requests import requests_in_turn
from instances.checks.roster import Roster, rows_by_host, rows_of
from instances.engine.pool import EngineAddress
from instances.engine.port import Engine
from instances.models import Health, Host, Instance
from tasks import checks
from tests.factories import World
from tests.fast.conftest import Message
from tests.fast.tasks.test_tasks import Sent

pytestmark = pytest.mark.django_db


def fleet(world: World, number: int, first: int = 0, host: Host | None = None) -> list[Instance]:
    return [world.instance(f"c{place}", host=host) for place in range(first, first + number)]


def customers(messages: list[Message]) -> list[str]:
    return [message.kwargs["customer_id"] for message in messages]


def test_rows_come_in_order_whatever_the_pages(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roster, "PAGE", 2)
    wanted = [instance.pk for instance in reversed(fleet(world, 5))]
    with CaptureQueriesContext(connection) as asked:
        found = [row.pk for row in rows_of([*wanted, 10_000])]
    assert found == wanted, "what is gone by now is left out"
    assert sum('FROM "instances_instance"' in query["sql"] for query in asked) == 3


def test_rows_of_hosts_are_read_together_and_one_that_was_moved_meanwhile_is_not_lost(world: World) -> None:
    other = Host.objects.create(name="other", docker_url="unix:///fake/two.sock")
    one, two = fleet(world, 3), fleet(world, 2, first=3, host=other)
    known = Roster.of_rows([*one, *two])
    Instance.objects.filter(pk=one[1].pk).update(host=other)
    with CaptureQueriesContext(connection) as asked:
        found = rows_by_host(known, [other.pk, one[0].host_id])
    assert [[row.pk for row in rows] for rows in found] == [[i.pk for i in two], [i.pk for i in one]]
    assert len(asked) == 3, "instances, plans and hosts, once each"


@pytest.mark.parametrize(
    ("some", "others", "order"),
    [
        ("", "abc", "abc"),
        ("AB", "", "AB"),
        ("AB", "abc", "AabcB"),
        ("AB", "abcdefghijk", "AabcdefghiBjk"),
        ("ABCD", "abcdefghij", "AabcdefghiBjCD"),
    ],
)
def test_some_come_early_and_not_all_at_once(some: str, others: str, order: str) -> None:
    assert "".join(roster.early(some, others)) == order


def test_a_sweep_begins_early_with_those_that_failed(world: World) -> None:
    other = Host.objects.create(name="other", docker_url="unix:///fake/two.sock")
    one, two = fleet(world, 12), fleet(world, 12, first=12, host=other)
    for late in (one[11], two[10], two[11]):
        Health.objects.filter(pk=late.pk).update(failures=1)
    Health.objects.filter(pk=one[0].pk).delete()  # who was never looked at has not failed
    found = Roster.of_active()
    keys = [[instance.pk for instance in instances] for instances in (one, two)]
    assert list(found.at(world.host.pk)) == [keys[0][11], *keys[0][:11]]
    assert list(found.at(other.pk)) == [keys[1][10], *keys[1][:9], keys[1][11], keys[1][9]]
    assert len(found) == 24


def test_a_row_needs_no_statement_of_its_own(world: World, sent: Sent) -> None:
    fleet(world, 3)
    Host.objects.update(engine_id="known")
    world.engine.identity = "known"
    with CaptureQueriesContext(connection) as few:
        assert len(list(chain(*requests_in_turn(Roster.of_active(), world.outside.engines)))) == 3
    fleet(world, 20, first=3)
    with CaptureQueriesContext(connection) as many:
        [requests] = map(list, requests_in_turn(Roster.of_active(), world.outside.engines))
    assert len(requests) == 23
    assert len(many) == len(few)


def test_what_is_due_is_taken_a_page_at_a_time(
    world: World, sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(due, "PAGE", 2)
    for number in range(5):
        world.instance(f"c{number}", status="suspect", next_check_at=world.now - timedelta(seconds=number))
    assert len(due.claim_due(world.now)) == 2
    checks.follow_up()
    published = customers(sent("health"))
    assert (sorted(published), published[-1]) == (["c0", "c1", "c2"], "c0"), "first what is due for longest"


def test_no_more_hosts_are_listed_than_are_asked_beside_each_other(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listings, "LISTED_AT_ONCE", 1)
    other = Host.objects.create(
        name="other", docker_url="unix:///fake/other.sock", first_port=30000, last_port=30999
    )
    fleet(world, 2)
    fleet(world, 3, first=2, host=other)
    groups = requests_in_turn(Roster.of_active(), world.outside.engines)
    assert [len(list(requests)) for requests in groups] == [2, 3]


def test_no_more_lists_are_asked_for_before_the_ones_at_hand_are_used(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listings, "KEPT_AT_ONCE", 2)
    fleet(world, 1)
    for number in range(1, 5):
        fleet(
            world, 1, number, Host.objects.create(name=f"h{number}", docker_url=f"unix:///fake/{number}.sock")
        )
    asked, look = [], world.outside.engines.look

    def counted(address: EngineAddress, call: Callable[[Engine], object]) -> object:
        asked.append(address)
        return look(address, call)

    monkeypatch.setattr(world.outside.engines, "look", counted)
    groups = requests_in_turn(Roster.of_active(), world.outside.engines)
    used = [(len(list(requests)), len(asked)) for requests in groups]
    assert used == [(2, 2), (2, 4), (1, 5)]
