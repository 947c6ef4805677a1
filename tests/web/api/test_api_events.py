"""Following incidents and operations: each once, in order, and to whom they may be told."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from instances.access import tokens
from instances.access.reach import Reach
from instances.api import event_feed, reader, streams
from instances.api.event_feed import BEFORE, GIVEN_UP, Feed
from instances.fleet.retention import EVENTS_KEPT, purge
from instances.lib.ending import ENDING
from instances.models import ApiToken, FeedEvent, Host, Incident
from instances.operations import service
from tests.factories import ASKED, World
from tests.web.callers import OVER_HTTP, Caller, a_caller, places_taken

pytestmark = OVER_HTTP
FOLLOWED = 10  # seconds


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "LASTS", timedelta(seconds=FOLLOWED))


def events(text: str) -> list[tuple[str, int, dict[str, Any]]]:
    """Kind, id and document of each event."""
    found = []
    for block in text.split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if "data" in lines:
            found.append((lines["event"], int(lines.get("id", 0)), json.loads(lines["data"])))
    return found


def follow(caller: Caller, last: int | None = None) -> list[tuple[str, int, dict[str, Any]]]:
    answer = caller.get("/events", **({} if last is None else {"last-event-id": str(last)}))
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/event-stream")
    return events(answer.text)


def beginning() -> int:
    """Before the first event that is kept."""
    return int(FeedEvent.objects.order_by("pk").values_list("pk", flat=True)[0]) - 1


def told(found: list[tuple[str, int, dict[str, Any]]]) -> list[str]:
    """`operation c1 queued`, …"""
    return [
        f"{kind} {document[kind]['customer_id'] or document[kind]['host']} {document['change']}"
        for kind, _, document in found
        if kind in ("incident", "operation")
    ]


def a_restart(world: World) -> None:
    service.run_to_end(service.begin_restart("c1", ASKED, world.outside).pk, world.outside)


def test_what_happens_is_told_as_it_happens_with_what_it_is_about(world: World, caller: Caller) -> None:
    instance = world.instance()
    world.incident(world.instance("before"))
    world.clock.at(2, lambda: world.incident(instance))
    world.clock.at(5, lambda: a_restart(world))
    found = follow(caller)
    assert told(found) == [
        *("incident c1 opened", "incident c1 status", "incident c1 severity"),
        *("operation c1 queued", "operation c1 running", "operation c1 succeeded"),
    ]
    ids = [identity for _, identity, _ in found[:-1]]
    assert ids == sorted(set(ids))
    kind, identity, document = found[0]
    assert (kind, document["id"], document["incident"]["kind"]) == ("incident", identity, "instance")
    assert found[-1] == ("end", 0, {})
    last = next(document for kind, _, document in reversed(found) if kind == "operation")
    assert (last["change"], last["operation"]["status"]) == ("succeeded", "succeeded")


def test_following_goes_on_behind_the_last_event_and_says_what_is_not_kept(
    world: World, caller: Caller
) -> None:
    world.instance()
    world.clock.at(1, lambda: a_restart(world))
    first = follow(caller)
    a_restart(world)  # nobody follows
    missed = follow(caller, first[-2][1])
    assert told(missed) == told(first)
    assert missed[0][1] > first[-2][1]
    assert told(follow(caller, beginning())) == told(first) + told(missed)
    world.clock.advance(EVENTS_KEPT.total_seconds())
    purge(world.now)
    world.clock.advance(1)
    newest = missed[-2][1]
    assert [kind for kind, _, _ in follow(caller, first[0][1])] == ["missed", "operation", "end"]
    assert follow(caller, newest) == [("end", 0, {})]
    a_restart(world)
    assert follow(caller, first[0][1])[0] == ("missed", 0, {})


@pytest.mark.parametrize("kept", [True, False])
def test_who_is_ahead_of_a_database_that_was_set_back_is_told_so_and_of_what_happens_from_now_on(
    world: World, caller: Caller, kept: bool
) -> None:
    world.instance()
    world.clock.at(1, lambda: a_restart(world))
    first = follow(caller)
    if not kept:
        FeedEvent.objects.all().delete()
    world.clock.advance(BEFORE.total_seconds() + 1)
    world.clock.at(2, lambda: a_restart(world))
    found = follow(caller, first[-2][1] + 1000)
    assert found[0] == ("missed", 0, {})
    assert told(found[1:]) == told(first)


def test_a_long_way_back_is_read_from_the_database_in_pages(
    world: World, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_feed, "PAGE", 3)
    world.instance()
    for _ in range(3):
        a_restart(world)
    world.clock.advance(BEFORE.total_seconds() + 1)
    found = follow(caller, beginning())
    assert [identity for _, identity, _ in found[:-1]] == list(
        FeedEvent.objects.order_by("pk").values_list("pk", flat=True)
    )


def limits(world: World) -> dict[str, Reach]:
    return {
        "customer": Reach(customers=frozenset({"c1"})),
        "plan": Reach(plans=frozenset({"none"})),
        "host": Reach(hosts=frozenset({world.host.name})),
    }


@pytest.mark.parametrize(("by", "seen"), [("customer", {"c1"}), ("plan", set()), ("host", {"c1", "c2"})])
@pytest.mark.usefixtures("caller")  # for its clock
def test_a_limited_token_is_told_of_its_own_alone(world: World, by: str, seen: set[str]) -> None:
    caller = a_caller(world, "read")
    reach = limits(world)[by]
    for name in ("customers", "plans", "hosts"):
        ApiToken.objects.update(**{name: sorted(getattr(reach, name))})
    there = Host.objects.create(name="elsewhere", docker_url="tcp://elsewhere:2376")
    for instance in (world.instance("c1"), world.instance("c2"), world.instance("c3", host=there)):
        world.incident(instance)
    world.host_incident()
    found = follow(caller, beginning())
    assert {document["incident"]["customer_id"] for kind, _, document in found if kind == "incident"} == seen


def test_what_a_registry_said_is_for_admins(world: World, caller: Caller) -> None:
    world.instance()
    operation = service.begin_restart("c1", ASKED, world.outside)
    operation.error, operation.facts = "It was refused.", {"registry_said": "who are you"}
    operation.save()
    said = []
    for who in (caller, a_caller(world, "read")):
        [(_, _, document), _] = follow(who, beginning())
        said.append(document["operation"]["error"])
    assert said == ["It was refused. The registry said: who are you", "It was refused."]


def test_what_is_committed_late_is_not_passed_by_and_what_never_comes_is_given_up(world: World) -> None:
    """Ids are taken before they are committed."""
    feed = Feed()
    seen: list[int] = []
    position: int | None = 0

    def look() -> None:
        nonlocal position
        world.clock.advance(1)
        found, position = feed.after(position, world.now)
        seen.extend(happened.id for happened in found)

    incident = world.incident(world.instance())
    FeedEvent.objects.all().delete()

    def commit(identity: int) -> None:
        FeedEvent.objects.create(pk=identity, at=world.now, change="cause", incident=incident)

    with feed.in_use():
        commit(1)
        commit(3)
        look()
        assert seen == [1]
        commit(2)
        look()
        assert seen == [1, 2, 3]
        commit(6)
        for _ in range(int(GIVEN_UP.total_seconds())):
            look()
            assert seen == [1, 2, 3]
        look()
        assert seen == [1, 2, 3, 6]


def test_however_many_follow_the_database_is_asked_once_a_second(
    world: World, django_assert_num_queries: Callable[..., Any]
) -> None:
    feed = Feed()
    world.incident(world.instance())
    with feed.in_use(), feed.in_use():
        _, position = feed.after(None, world.now)
        with django_assert_num_queries(0):
            assert [feed.after(position, world.now) for _ in range(5)] == [([], position)] * 5
            assert feed.after(None, world.now) == ([], position)
        world.clock.advance(1)
        with django_assert_num_queries(1):
            feed.after(position, world.now)


@pytest.mark.parametrize("why", ["revoked", "the process ends"])
def test_a_stream_ends_in_words_and_gives_its_place_back(
    world: World, caller: Caller, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    monkeypatch.setattr(streams, "LASTS", timedelta(minutes=10))

    def end() -> None:
        if why == "revoked":
            tokens.revoke("admin", world.now)
        else:
            ENDING.set()

    world.clock.at(3, end)
    try:
        [(kind, _, document)] = follow(caller)
    finally:
        ENDING.clear()
    assert (kind, document.get("status")) == (("error", 401) if why == "revoked" else ("end", None))
    assert streams.PLACES.taken() == 0


def test_what_happens_after_a_token_has_ended_is_not_told_to_it(world: World, caller: Caller) -> None:
    def end_and_go_on() -> None:
        tokens.revoke("admin", world.now)
        world.host_incident()

    world.clock.at(3, end_and_go_on)
    [(kind, _, document)] = follow(caller)
    assert (kind, document["status"]) == ("error", 401)


def test_no_more_than_a_few_follow_and_odd_ids_are_refused(world: World, caller: Caller) -> None:
    for odd in ("-1", "x", str(2**63), "1e3"):
        answer = caller.get("/events", **{"last-event-id": odd})
        assert (answer.status, answer.kind) == (422, "malformed"), odd
    with places_taken(-1, -2, -3, -4):
        answer = caller.get("/events")
    assert (answer.status, answer.kind) == (503, "out-of-reach")


def test_one_token_leaves_a_place_to_another(world: World, caller: Caller) -> None:
    own = ApiToken.objects.get(name="admin").pk
    with places_taken(own, own, own):
        refused = caller.get("/events")
        assert (refused.status, refused.document["detail"]) == (
            503,
            "This token has 3 streams open; end one of them first.",
        )
        with places_taken(-1):
            assert streams.PLACES.taken() == 4
    with places_taken(own, own), places_taken(-1):
        assert caller.get("/events").status == 200
    assert streams.PLACES.taken() == 0


def test_who_is_silent_is_shown_that_the_stream_lives(world: World, caller: Caller) -> None:
    assert caller.get("/events").text.count(": alive\n\n") == 2
    assert not Incident.objects.exists()


@pytest.mark.parametrize("how", ["closed", "sends no more"])
def test_who_has_gone_holds_no_place_until_something_happens(
    world: World, caller: Caller, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(streams, "LASTS", timedelta(minutes=10))
    served, asking = socket.socketpair()
    leave = asking.close if how == "closed" else lambda: asking.shutdown(socket.SHUT_WR)
    world.clock.at(3, leave)
    with served, asking:
        began = world.now
        answer = caller.ask("GET", "/events", environ={reader.SOCKET: served})
    assert (world.now - began, events(answer.text)) == (timedelta(seconds=3), [])
    assert streams.PLACES.taken() == 0
