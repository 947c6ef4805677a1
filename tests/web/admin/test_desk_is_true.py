"""Numbers and words of the desk: what they lead to and what they are about is what they say."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.test import Client

from instances.admin import history as instance_history
from instances.admin import incidents as incident_pages
from instances.admin import lists
from instances.checks.roster import Roster
from instances.db.clock import SYSTEM
from instances.fleet.sweep import check_here
from instances.incidents.acknowledge import acknowledge
from instances.models import Channel, HostWatch, Incident, Operation, Sweep, Usage
from instances.operations import service
from tests.desk import INSTANCE, at_desk
from tests.factories import World

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.filterwarnings("ignore:No directory at:UserWarning"),  # nobody collected static files here
]
ROOT = "/admin/instances/"


def text(client: Client, address: str) -> str:
    page = client.get(address, follow=True)
    assert page.status_code == 200, address
    return page.content.decode()


def rows(page: str) -> int:
    return page.count('class="data-row') or page.count("data-row block")


def operation(customer_id: str, status: str, hours_ago: float, kind: str = "restart") -> None:
    at = SYSTEM.now() - timedelta(hours=hours_ago)
    row = Operation.objects.create(
        kind=kind, customer_id=customer_id, status=status, requested_by="tests", created_at=at,
        finished_at=at, lease_expires_at=at,
    )  # fmt: skip
    Operation.objects.filter(pk=row.pk).update(created_at=at)


def test_acknowledging_is_offered_until_somebody_has(world: World) -> None:
    incident = world.incident(world.instance())
    page = f"{ROOT}incident/{incident.pk}/change/"
    assert "dialog-acknowledge" in text(at_desk("operator"), page)
    acknowledge(incident.pk, "admin:operator", SYSTEM.now())
    assert "dialog-acknowledge" not in text(at_desk("operator"), page)


def test_a_list_says_that_there_are_more_than_it_counts(
    admin_client: Client, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "MOST_COUNTED", 2)
    for number in range(3):
        operation("c1", "failed", number)
    assert re.search(r"more than 2\s+operations", text(admin_client, f"{ROOT}operation/"))
    assert "more than 2 found" in text(admin_client, f"{ROOT}operation/?q=c1")
    Operation.objects.first().delete()  # type: ignore[union-attr]
    assert "more than" not in text(admin_client, f"{ROOT}operation/")


def test_each_tile_leads_to_as_many_rows_as_it_counts(admin_client: Client, world: World) -> None:
    for status, hours in (
        ("failed", 1),
        ("failed", 30),
        ("rolled_back", 2),
        ("succeeded", 3),
        ("failed", 99),
    ):
        operation("c1", status, hours)
        operation("c2", status, hours, "update")
    blip = world.incident(world.instance("c3"))
    Incident.objects.filter(pk=blip.pk).update(confirmed_at=None)
    world.incident(world.instance("c4"))
    tiles = re.findall(r'desk-tile[^"]*" href="([^"]+)"><b>(\d+)</b>', text(admin_client, "/admin/"))
    counted = {href.replace("&amp;", "&"): int(number) for href, number in tiles}
    assert sorted(counted.values()) == [1, 2, 3, 4]
    assert {href: rows(text(admin_client, href)) for href in counted} == counted


def test_what_was_seen_before_a_pause_is_no_last_check(admin_client: Client, world: World) -> None:
    instance = world.instance("c1", http_status=200, latency_ms=6, checked_at=world.now)
    service.pause("c1")
    service.resume("c1")
    page = text(admin_client, f"{INSTANCE}{instance.pk}/live/")
    assert "never since it is looked after again" in page and "HTTP 200" not in page


@pytest.mark.parametrize(
    ("watched", "said"),
    [
        (None, "not asked yet"),
        ({}, "not asked yet"),
    ],
)
def test_a_host_is_said_to_answer_when_it_did(
    admin_client: Client, world: World, watched: dict[str, object] | None, said: str
) -> None:
    if watched is not None:
        HostWatch.objects.create(host=world.host, **watched)
    page = text(admin_client, f"{ROOT}host/")
    known = ("not asked yet", "out of reach", "answers", "did not answer, asked again")
    words = {word for word in known if word in page}
    assert words == {said}


def test_a_container_that_others_renamed_is_named_on_its_page_and_as_an_incident(
    admin_client: Client, world: World
) -> None:
    instance = world.instance()
    world.engine.rename(instance.container_id, "c0ffee_dockmgr-c1")
    list(check_here(Roster.of_rows([instance]), world.outside))
    page = text(admin_client, f"{INSTANCE}{instance.pk}/change/")
    assert "is called c0ffee_dockmgr-c1" in page and "Seen since" in page and "is-renamed" in page
    incident = Incident.objects.get(kind="container")
    assert "is called c0ffee_dockmgr-c1" in text(admin_client, f"{ROOT}incident/{incident.pk}/change/")
    world.engine.rename(instance.container_id, instance.container_name)
    instance.refresh_from_db()
    world.clock.advance(1)
    list(check_here(Roster.of_rows([instance]), world.outside))
    assert "c0ffee" not in text(admin_client, f"/admin/instances/instance/{instance.pk}/live/")


def test_a_sweep_that_was_given_up_did_not_finish(admin_client: Client, world: World) -> None:
    at = SYSTEM.now()
    Sweep.objects.create(state="incomplete", started_at=at, expires_at=at, finished_at=at)
    assert "<b>\u2013</b> since the last sweep" in text(admin_client, "/admin/")


def test_cut_lists_show_the_newest_and_say_so(
    admin_client: Client, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(incident_pages, "EVENTS_SHOWN", 3)
    monkeypatch.setattr(instance_history, "MOST_MARKS", 2)
    instance = world.instance()
    incident = world.incident(instance)
    for number in range(5):
        at = SYSTEM.now() + timedelta(seconds=number)
        incident.events.create(at=at, kind="restart", text=f"attempt {number}")
        operation("c1", "succeeded", number / 10)
    page = text(admin_client, f"{ROOT}incident/{incident.pk}/change/")
    assert re.findall(r"attempt (\d)", page) == ["2", "3", "4"] and "The newest 3 events" in page
    page = text(admin_client, f"{INSTANCE}{instance.pk}/change/")
    assert "updates and provisionings: 5. Only the newest 2 of those are marked." in page


def test_what_was_seen_before_a_pause_is_no_reason_now(admin_client: Client, world: World) -> None:
    instance = world.instance("c1", reason="http_503", error="It answered 503.", checked_at=world.now)
    page = f"{INSTANCE}{instance.pk}/live/"
    assert "http_503" in text(admin_client, page)
    service.pause("c1")
    service.resume("c1")
    assert "http_503" not in text(admin_client, page)


def test_an_old_reading_says_how_old_it_is(admin_client: Client, world: World) -> None:
    read = {"next_read_at": SYSTEM.now(), "cpu_percent": 50.0, "memory": 1024**2}
    for number, hours in enumerate((0, 3)):
        at = SYSTEM.now() - timedelta(hours=hours)
        Usage.objects.create(instance=world.instance(f"c{number}"), read_at=at, **read)
    page = text(admin_client, INSTANCE)
    assert page.count("50.0 %, 3 h") == 1 and page.count("50.0 %") == 2 and page.count(" ago") == 2


def test_a_channel_for_operations_alone_is_not_taken_for_one_that_tells(
    admin_client: Client, world: World
) -> None:
    Channel.objects.create(name="ops", url="json://example.com", incidents=False, operations=True)
    assert "that is told of incidents is enabled" in text(admin_client, "/admin/")


def test_an_open_incident_says_what_to_do_next_and_one_that_is_over_does_not(world: World) -> None:
    tried = world.instance("tried", status="failed")
    again, by_hand = world.incident(world.instance("again")), world.incident(tried, "critical")
    host = world.host_incident()
    told = {each.pk: f"{ROOT}incident/{each.pk}/change/" for each in (again, by_hand, host)}
    pages = {key: text(at_desk("viewer"), page) for key, page in told.items()}
    assert "See what it says with <code>manage.py logs --customer-id again</code>." in pages[again.pk]
    assert "then <code>manage.py restart --customer-id tried</code>." in pages[by_hand.pk]
    assert "See whether the Docker Engine of host " in pages[host.pk]
    Incident.objects.filter(pk=again.pk).update(resolved_at=SYSTEM.now())
    assert "What to do" not in text(at_desk("viewer"), told[again.pk])
