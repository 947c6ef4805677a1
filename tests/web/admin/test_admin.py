"""The desk's pages open, show what there is, and neither run what customers write nor show secrets."""

from __future__ import annotations

import re

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from pytest_django.fixtures import DjangoAssertNumQueries, Settings

from instances.checks.record import record
from instances.db.clock import SYSTEM
from instances.incidents.rules import FLEET
from instances.models import Channel, Health, HealthCheck, Incident, Instance, Operation, Sweep
from tests.desk import EVIL, at_desk
from tests.factories import World, a_failure

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.filterwarnings("ignore:No directory at:UserWarning"),  # nobody collected static files here
]
INSTANCE = "/admin/instances/instance/"
KINDS = [model for model in admin.site._registry if model._meta.app_label == "instances"]
assert len(KINDS) > 10
ACTIVE = re.compile(r"<script(?![^>]* src=)|<style| style=\"| on[a-z]+=\"")


def text(client: Client, address: str) -> str:
    """What a page says; it must open."""
    page = client.get(address)
    assert page.status_code == 200, address
    return page.content.decode()


def a_troubled_fleet(world: World) -> Instance:
    """One instance about which everything a customer controls is an attack."""
    now = SYSTEM.now()
    instance = world.instance("c1", status="unhealthy", error=EVIL, reason="body_not_ok", version="<b>1</b>")
    incident = world.incident(instance, message=EVIL)
    world.large_incident(FLEET, message=EVIL)
    incident.events.create(at=now, kind="opened", text=EVIL)
    step = {"name": "wait", "status": "failed", "detail": EVIL, "started_at": "", "finished_at": ""}
    Operation.objects.create(
        kind="restart", instance=instance, customer_id="c1", status="failed", requested_by="x", reason=EVIL,
        steps=[step], error=EVIL, created_at=now, finished_at=now, lease_expires_at=now,
    )  # fmt: skip
    sweep = Sweep.objects.create(state="finished", started_at=now, expires_at=now, finished_at=now)
    HealthCheck.objects.create(
        instance=instance, sweep=sweep, outcome="fail", status="unhealthy", latency_ms=7,
        consecutive_failures=1, error=EVIL, checked_at=now,
    )  # fmt: skip
    Channel.objects.create(name="ops", url="json://s3ntinel-of-the-channel@127.0.0.1/x")
    return instance


def test_every_page_opens_and_nothing_in_it_is_active(world: World, admin_client: Client) -> None:
    a_troubled_fleet(world)
    for kind in KINDS:
        pages = [reverse(f"admin:instances_{kind._meta.model_name}_changelist")]
        row = kind._default_manager.first()
        if row is not None:
            pages.append(reverse(f"admin:instances_{kind._meta.model_name}_change", args=[row.pk]))
        for address in pages:
            page = text(admin_client, address)
            assert not ACTIVE.search(page.replace('class="material-symbols', "")), address
            assert "<img src=x" not in page and "s3ntinel" not in page, address


@pytest.mark.parametrize("part", ["dashboard/live/", "{}/live/"])
def test_the_parts_that_refresh_themselves_are_inert_too(
    world: World, admin_client: Client, part: str
) -> None:
    instance = a_troubled_fleet(world)
    page = text(admin_client, INSTANCE + part.format(instance.pk))
    assert "&lt;script&gt;" in page
    assert not ACTIVE.search(page)


def test_words_put_into_an_address_come_back_inert(world: World, admin_client: Client) -> None:
    world.instance("c1")
    for place in ("q", "status", "host", "p", "period"):
        page = admin_client.get(INSTANCE, {place: EVIL}).content.decode()
        assert "<img src=x" not in page and "<script>window" not in page


def test_the_dashboard_counts_the_fleet(world: World, admin_client: Client) -> None:
    a_troubled_fleet(world)
    world.instance("c2")
    page = text(admin_client, "/admin/")
    assert re.search(r"<b>2</b>\s+instances", page)
    assert "1 healthy, 1 unhealthy" in page
    assert re.search(r"<b>2</b>\s+open incidents, 1 critical", page)
    assert re.search(r"<b>1</b>\s+failed operation", page)


def test_an_empty_installation_has_a_dashboard(admin_client: Client) -> None:
    page = text(admin_client, "/admin/")
    assert "No incident is open." in page and "There has been no sweep yet." in page


def test_the_dashboard_asks_no_more_of_a_large_fleet(
    world: World, admin_client: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    Health.objects.filter(pk=world.instance("c1").pk).update(latency_ms=5)
    with django_assert_num_queries(17) as few:
        text(admin_client, INSTANCE + "dashboard/live/")
    for number in range(2, 12):
        Health.objects.filter(pk=world.instance(f"c{number}").pk).update(latency_ms=5)
    with django_assert_num_queries(len(few)):
        text(admin_client, INSTANCE + "dashboard/live/")


def test_the_list_asks_no_more_of_many_rows(
    world: World, admin_client: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    world.instance("c1")
    with django_assert_num_queries(9) as few:
        text(admin_client, INSTANCE)
    for number in range(2, 12):
        world.instance(f"c{number}")
    with django_assert_num_queries(len(few)):
        assert "c11" in text(admin_client, INSTANCE)


def test_the_list_is_searched_by_the_beginning_and_filtered(world: World, admin_client: Client) -> None:
    world.instance("acme-1", status="unhealthy")
    world.instance("other")
    listed = re.compile(r">(acme-1|other)</a>")
    expected = {
        "?q=ACME": {"acme-1"},
        "?q=other.exam": {"other"},
        "?q=cme": set(),
        "?status=bad": {"acme-1"},
        "?status=healthy": {"other"},
        "?plan=pro": {"acme-1", "other"},
        "?host=nowhere": set(),
    }
    for query, found in expected.items():
        assert set(listed.findall(text(admin_client, INSTANCE + query))) == found, query


def test_values_of_the_environment_are_nowhere(world: World, admin_client: Client) -> None:
    instance = world.instance("c1")
    instance.env = {"API_KEY": "s3ntinel-of-the-admin"}
    instance.save()
    world.plan.env = {"SHARED_KEY": "s3ntinel-of-the-plan"}
    world.plan.save()
    page = text(admin_client, f"{INSTANCE}{instance.pk}/change/")
    assert "API_KEY" in page and "s3ntinel" not in page
    plan = text(admin_client, f"/admin/instances/plan/{world.plan.pk}/change/")
    assert "SHARED_KEY" in plan and "s3ntinel" not in plan


def test_a_page_says_what_a_browser_may_do(admin_client: Client) -> None:
    headers = admin_client.get("/admin/").headers
    assert "script-src 'self';" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert "no-store" in headers["Cache-Control"] and "private" in headers["Cache-Control"]


def test_what_is_not_there_is_not_found(admin_client: Client) -> None:
    for address in ("instance/999999/change/", "instance/x/live/", "incident/999999/change/",
                    "operation/none/change/", "bulk/none/change/", "instance/answers/forged/"):  # fmt: skip
        assert admin_client.get(f"/admin/instances/{address}").status_code == 404, address


def test_somebody_in_no_group_sees_nothing_of_the_fleet(world: World) -> None:
    world.instance("c1")
    client = at_desk("viewer")
    User.objects.get(username="viewer").groups.clear()
    assert "You may not see instances" in text(client, "/admin/")
    assert client.get(INSTANCE).status_code == 403
    assert client.get(INSTANCE + "dashboard/live/").status_code == 403


def test_the_deployment_check_is_silent_behind_https(settings: Settings) -> None:
    from dockmgr import settings as own

    assert (own.SESSION_COOKIE_HTTPONLY, own.CSRF_COOKIE_HTTPONLY, own.SESSION_COOKIE_SAMESITE) == (
        True,
        True,
        "Lax",
    )
    for name in ("SECURE_SSL_REDIRECT", "SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE",
                 "SECURE_HSTS_INCLUDE_SUBDOMAINS", "SECURE_HSTS_PRELOAD"):  # fmt: skip
        setattr(settings, name, True)
    settings.SECURE_HSTS_SECONDS = 31536000
    call_command("check", "--deploy", "--fail-level", "WARNING")


def test_the_history_chart_tells_failures_from_answers(world: World, admin_client: Client) -> None:
    instance = a_troubled_fleet(world)
    for period in ("1d", "7d", "30d", "1y"):
        page = text(admin_client, f"{INSTANCE}{instance.pk}/change/?period={period}")
        assert "kind-bad" in page and "mark-restart" in page
        assert "Checks kept: 1, of which 1 failed" in page


def test_nobody_gets_in_without_a_password(client: Client) -> None:
    assert client.get(INSTANCE).status_code == 302


def test_the_web_process_says_that_it_lives(client: Client) -> None:
    assert client.get("/healthz").json() == {"ok": True, "status": "live"}


def test_the_page_of_an_instance_shows_its_open_incident(world: World, admin_client: Client) -> None:
    instance = world.instance("c1")
    for _ in range(3):
        world.clock.advance(30)
        record([a_failure(world, instance, "http_503")], world.now)
    incident = Incident.objects.get()
    for page in ("change", "live"):
        shown = text(admin_client, f"/admin/instances/instance/{instance.pk}/{page}/")
        assert f'<a href="/admin/instances/incident/{incident.pk}/change/">Open incident</a>' in shown
        assert incident.message in shown
