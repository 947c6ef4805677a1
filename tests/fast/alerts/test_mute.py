"""Mutes cover an instance, a host or a plan for a while; ending one makes what it held back be looked at."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries

from instances.alerts.mute import LONGEST, Scope, end, mute, scope, unmute
from instances.errors import RequestError
from instances.incidents import mutes
from instances.incidents.lifecycle import Alarm, open_incident
from instances.models import Host, Incident, IncidentEvent, Instance, Mute, Plan
from tests.factories import World
from tests.fakes.outside import START
from tests.rows import row

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


def muted(world: World, target: Scope, lasts: timedelta = HOUR) -> Mute:
    return mute(target, world.now + lasts, world.now, by="cli:ada", reason="maintenance")


def incident(world: World, instance: Instance, **columns: Any) -> Incident:
    """An open incident that nobody is to look at again."""
    return world.incident(instance, **{"notify_at": None, **columns})


def look(one: Incident) -> datetime | None:
    one.refresh_from_db()
    return one.notify_at


def everyone(world: World) -> list[Instance]:
    """One instance that shares neither host nor plan with the other, and one that shares both."""
    far = Host.objects.create(name="far", docker_url="unix:///fake/two.sock")
    small = Plan.objects.create(name="small", image="a")
    other = world.instance("other", host=far)
    Instance.objects.filter(pk=other.pk).update(plan=small)
    return [world.instance("c1"), world.instance("c2"), Instance.objects.get(pk=other.pk)]


COVERED = [
    ({"customer_id": "c1"}, ["c1"]),
    ({"host": "local"}, ["c1", "c2"]),
    ({"plan": "pro"}, ["c1", "c2"]),
    ({"host": "far"}, ["other"]),
    ({"plan": "small"}, ["other"]),
]


def test_a_mute_covers_what_it_names(world: World) -> None:
    instances = everyone(world)
    for names, covered in COVERED:
        with row(names):
            until = muted(world, scope(**names)).until
            ends = mutes.ends([instance.pk for instance in instances], world.now)
            assert ends == {i.pk: until for i in instances if i.customer_id in covered}
            assert [mutes.end_for(i, world.now) for i in instances] == [ends.get(i.pk) for i in instances]
        unmute(scope(**names), world.now, by="ann")


def test_of_several_mutes_the_last_end_counts(world: World) -> None:
    instance = world.instance()
    muted(world, scope(customer_id="c1"), HOUR)
    muted(world, scope(host="local"), 3 * HOUR)
    muted(world, scope(plan="pro"), 2 * HOUR)
    assert mutes.end_for(instance, world.now) == world.now + 3 * HOUR


def test_a_mute_is_over_at_its_end_and_has_no_force_before_its_start(world: World) -> None:
    instance = world.instance()
    mine = muted(world, scope(customer_id="c1"))
    assert mutes.end_for(instance, mine.until - timedelta(seconds=1)) == mine.until
    assert mutes.end_for(instance, mine.until) is None
    assert mutes.end_for(instance, mine.starts_at - timedelta(seconds=1)) is None


def test_who_is_muted_is_one_query_for_any_number(
    world: World, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    instances = everyone(world)
    muted(world, scope(host="local"))
    with django_assert_num_queries(1):
        assert len(mutes.ends([instance.pk for instance in instances], world.now)) == 2
    with django_assert_num_queries(1):
        assert mutes.host_ends([i.host_id for i in instances], world.now) == {world.host.pk: world.now + HOUR}


def test_only_a_mute_of_the_host_itself_covers_the_host(world: World) -> None:
    world.instance()
    muted(world, scope(customer_id="c1"))
    muted(world, scope(plan="pro"))
    assert mutes.host_ends([world.host.pk], world.now) == {}


def test_a_mute_of_the_host_covers_all_that_is_told_of_the_host(world: World) -> None:
    world.instance()
    rows = [
        open_incident(Alarm(f"{kind}:local", kind, kind, "It ends soon.", host=world.host), world.now)
        for kind in ("host", "certificate", "orphans")
    ]
    muted(world, scope(customer_id="c1"))
    assert mutes.incident_ends(rows, world.now) == {}
    muted(world, scope(host="local"))
    assert set(mutes.incident_ends(rows, world.now)) == {row.pk for row in rows}


def test_muting_again_replaces_the_end_and_keeps_a_record_of_both(world: World) -> None:
    instance = world.instance()
    muted(world, scope(host="local"), 3 * HOUR)
    world.clock.advance(60)
    second = muted(world, scope(host="local"), HOUR)
    assert mutes.end_for(instance, world.now) == second.until
    assert list(mutes.active(world.now)) == [second]
    assert Mute.objects.count() == 2


def test_muting_twice_in_a_moment_leaves_one_mute(world: World) -> None:
    world.instance()
    muted(world, scope(host="local"), 3 * HOUR)
    last = muted(world, scope(host="local"), HOUR)
    assert list(Mute.objects.all()) == [last]


def test_unmuting_ends_the_mute_of_that_scope_and_no_other(world: World) -> None:
    instance = world.instance()
    muted(world, scope(customer_id="c1"))
    muted(world, scope(plan="pro"), 2 * HOUR)
    world.clock.advance(60)
    assert unmute(scope(customer_id="c1"), world.now, by="ann")
    assert mutes.end_for(instance, world.now) == world.now + 2 * HOUR - timedelta(seconds=60)
    assert not unmute(scope(customer_id="c1"), world.now, by="ann")


def test_the_record_says_who_muted_and_why_and_when_it_ended(world: World) -> None:
    world.instance()
    began = world.now
    muted(world, scope(customer_id="c1"))
    world.clock.advance(60)
    unmute(scope(customer_id="c1"), world.now, by="ann")
    kept = Mute.objects.get()
    assert (kept.by, kept.reason, kept.starts_at, kept.until) == ("cli:ada", "maintenance", began, world.now)


def test_what_may_have_been_held_back_is_looked_at_when_a_mute_ends(world: World) -> None:
    instance, _, stranger = everyone(world)
    later = world.now + 5 * HOUR
    waiting = incident(world, instance, resolved_at=world.now)
    told = incident(world, instance, resolved_at=world.now)
    open_one = incident(world, instance)
    elsewhere = incident(world, stranger, notify_at=later)
    scopes: list[dict[str, str]] = [{"customer_id": "c1"}, {"host": "local"}, {"plan": "pro"}]
    for names in scopes:
        with row(names):
            muted(world, scope(**names))
            world.clock.advance(60)
            Incident.objects.filter(pk=waiting.pk).update(notify_at=later)
            unmute(scope(**names), world.now, by="ann")
            assert [look(one) for one in (open_one, waiting, told)] == [world.now, world.now, None]
            assert look(elsewhere) == later


def test_a_host_s_own_incident_is_looked_at_as_well(world: World) -> None:
    own = world.host_incident(notify_at=None)
    muted(world, scope(host="local"))
    world.clock.advance(60)
    unmute(scope(host="local"), world.now, by="ann")
    assert look(own) == world.now


def test_a_mute_made_shorter_is_looked_at_before_its_first_end(world: World) -> None:
    mine = incident(world, world.instance())
    muted(world, scope(host="local"), 3 * HOUR)
    Incident.objects.update(notify_at=world.now + 3 * HOUR)
    world.clock.advance(60)
    muted(world, scope(host="local"), HOUR)
    assert look(mine) == world.now


def test_unmuting_what_is_not_muted_touches_nothing(world: World) -> None:
    mine = incident(world, world.instance())
    assert not unmute(scope(host="local"), world.now, by="ann")
    assert look(mine) is None


def test_open_incidents_show_who_muted_and_unmuted_what_covers_them(world: World) -> None:
    instance, _, stranger = everyone(world)
    over, mine = incident(world, instance, resolved_at=world.now), incident(world, instance)
    elsewhere = incident(world, stranger)
    muted(world, scope(host="local"))
    until = world.now + HOUR
    world.clock.advance(60)
    unmute(scope(host="local"), world.now, by="ann")
    about_mutes = IncidentEvent.objects.filter(kind__in=("muted", "unmuted"))
    assert [(event.kind, event.text) for event in about_mutes.filter(incident=mine)] == [
        ("muted", f"host local until {until:%Y-%m-%d %H:%M} UTC by cli:ada: maintenance"),
        ("unmuted", "host local by ann"),
    ]
    assert not about_mutes.filter(incident__in=[over, elsewhere]).exists()


def test_a_mute_must_end_in_the_future_within_thirty_days(world: World) -> None:
    before = muted(world, scope(host="local"), LONGEST)
    for lasts in (timedelta(0), timedelta(seconds=-1), timedelta(days=30, seconds=1)):
        with row(lasts), pytest.raises(RequestError, match=r"in the future, within 30 days\.$"):
            muted(world, scope(host="local"), lasts)
    assert list(mutes.active(world.now)) == [before]


@pytest.mark.parametrize(("lasts", "until"), [("2h", None), (None, "2026-03-01T15:00:00+01:00")])
def test_an_end_is_a_length_or_a_time(lasts: str | None, until: str | None) -> None:
    assert end(lasts, until, START) == START + 2 * HOUR


@pytest.mark.parametrize(
    "given",
    [(None, None), ("5", None), ("", None), ("-1h", None), ("soon", None), (None, "tomorrow"),
     (None, "2026-03-02T12:00:00"), (None, "0001-01-01T00:00:00+14:00"), (None, "2h")],
)  # fmt: skip
def test_any_other_end_is_refused(given: tuple[str | None, str | None]) -> None:
    with pytest.raises(RequestError, match=r"30m, 2h, 1d or as an RFC 3339 time with its zone\.$"):
        end(*given, START)


REFUSED: list[tuple[dict[str, str], str]] = [
    ({}, "one of"),
    ({"customer_id": "c1", "host": "local"}, "one of"),
    ({"customer_id": "c1", "host": "local", "plan": "pro"}, "one of"),
    ({"customer_id": "nobody"}, "^There is no "),
    ({"host": "mars"}, "^There is no "),
    ({"plan": "platinum"}, "^There is no "),
]


def test_exactly_one_thing_that_exists_is_muted_at_a_time(world: World) -> None:
    world.instance()
    for names, why in REFUSED:
        with row(names), pytest.raises(RequestError, match=why):
            scope(**names)
