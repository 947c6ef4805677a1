"""Services that keep incidents: ours opens one there and its end closes it; every message says what next."""

from __future__ import annotations

import io
import json
import uuid
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests
from pytest_django.fixtures import Settings

from instances.alerts import answers
from instances.alerts.delivery_rules import SENT, DeliveryOutcome
from instances.alerts.messages import blank, disabled
from instances.alerts.outbox import deliver
from instances.alerts.send import check_url, send
from instances.documents import Document
from instances.incidents.acknowledge import acknowledge
from instances.models import Incident, Notification
from tests.factories import World, health_of
from tests.fast.delivering import Script, rows_of
from tests.fast.telling import a_channel, change, resolve, told_after

KEY = "0123456789abcdef0123456789abcdef"
UUID = "12345678-1234-1234-1234-123456789012"
PAGERDUTY = f"pagerduty://{KEY}@{KEY[:20]}"
URLS = {
    "pagerduty": (PAGERDUTY, "event_action", "dedup_key"),
    "incidentio": (f"incidentio://{KEY}/{KEY}", "status", "deduplication_key"),
    "squadcast": (f"squadcast://{KEY}", "status", "event_id"),
    "pagertree": ("pagertree://int_0123456789", "event_type", "id"),
    "splunk": (f"splunk://team@{UUID}", "message_type", "entity_id"),
    "ilert": (f"ilert://{KEY}", "eventType", "alertKey"),
    "signl4": (f"signl4://{KEY}", "X-S4-Status", "X-S4-ExternalID"),
    "firehydrant": (f"firehydrant://{KEY}", "status", "idempotency_key"),
    "goalerts": (f"goalerts://goalert.example.com/{UUID}", "action", "dedup"),
}
ACTIONS = {
    "pagerduty": ("trigger", "resolve"),
    "incidentio": ("firing", "resolved"),
    "squadcast": ("trigger", "resolve"),
    "pagertree": ("create", "resolve"),
    "splunk": ("CRITICAL", "RECOVERY"),
    "ilert": ("ALERT", "RESOLVE"),
    "signl4": (None, "resolved"),
    "firehydrant": ("OPEN", "CLOSED"),
    "goalerts": (None, "close"),
}


@dataclass
class Service:
    """What stands in for all the services: requests as they came in, all of them accepted."""

    got: list[tuple[str, Any]] = field(default_factory=list)
    status: int = 202

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        self.got.append((str(request.url), json.loads(request.body or b"")))
        answer = requests.Response()
        answer.status_code, answer.raw = self.status, io.BytesIO(b'{"requestId": "1"}')
        return answer

    @property
    def documents(self) -> list[Any]:
        return [document for _, document in self.got]


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Service:
    service = Service()
    heard = answers._overheard(lambda _, *given, **named: service.send(*given), answers._answer)
    monkeypatch.setattr("requests.adapters.HTTPAdapter.send", heard)
    return service


def about(incident: int, kind: str, level: str = "critical") -> Document:
    return {**blank(uuid.uuid4(), kind, level, "Title", "One sentence."), "incident_id": incident}


@pytest.mark.parametrize(
    ("name", "kind"),
    [*((name, "resolved") for name in URLS), ("pagerduty", "recovered"), ("pagerduty", "summary")],
)
def test_the_end_closes_what_the_beginning_opened(service: Service, name: str, kind: str) -> None:
    url, action, key = URLS[name]
    check_url(url)
    assert [send(url, about(812, "opened"), 10), send(url, about(812, kind, "info"), 10)] == [SENT, SENT]
    assert [got[key] for got in service.documents] == ["dockmgr-812", "dockmgr-812"]
    assert tuple(got.get(action) for got in service.documents) == ACTIONS[name]


@pytest.mark.parametrize("scheme", ["opsgenie", "jira"])
def test_an_alert_with_an_alias_is_closed_by_it(service: Service, scheme: str) -> None:
    url = f"{scheme}://{UUID}"
    assert send(url, about(812, "opened"), 10) == SENT
    assert send(url, about(812, "resolved", "info"), 10) == SENT
    (opened, document), (closed, _) = service.got
    assert document["alias"] == "dockmgr-812"
    assert closed == f"{opened}/dockmgr-812/close?identifierType=alias"


SEEN = {
    "pagerduty": "acknowledge",
    "pagertree": "acknowledge",
    "splunk": "ACKNOWLEDGEMENT",
    "ilert": "ACCEPT",
    "signl4": "acknowledged",
}


@pytest.mark.parametrize("name", SEEN)
def test_what_was_seen_here_is_acknowledged_there(service: Service, name: str) -> None:
    url, action, key = URLS[name]
    assert send(url, about(812, "acknowledged"), 10) == SENT
    [document] = service.documents
    assert (document[action], document[key]) == (SEEN[name], "dockmgr-812")


@pytest.mark.parametrize("scheme", ["opsgenie", "jira"])
def test_an_alert_with_an_alias_is_acknowledged_by_it(service: Service, scheme: str) -> None:
    assert send(f"{scheme}://{UUID}", about(812, "acknowledged"), 10) == SENT
    [(address, document)] = service.got
    assert address.endswith("/dockmgr-812/acknowledge?identifierType=alias")
    assert document["note"]


def test_a_service_that_refuses_the_acknowledgement_is_judged_as_ever(service: Service) -> None:
    service.status = 429
    assert send(PAGERDUTY, about(812, "acknowledged"), 10).outcome is DeliveryOutcome.TRANSIENT
    service.status = 403
    assert send(PAGERDUTY, about(812, "acknowledged"), 10).outcome is DeliveryOutcome.PERMANENT


def kinds(channel: str) -> list[str]:
    rows = Notification.objects.filter(channel__name=channel).order_by("created_at", "pk")
    return list(rows.values_list("kind", flat=True))


@pytest.mark.django_db
def test_a_service_hears_once_what_was_acknowledged_and_people_do_not(world: World) -> None:
    a_channel("duty", url=PAGERDUTY)
    a_channel("plain", url=f"incidentio://{KEY}/{KEY}")
    a_channel("ops")
    incident = world.incident(world.instance())
    told_after(world, 30)
    for _ in range(2):
        acknowledge(incident.pk, "anna", world.now)
        told_after(world, 5)
    assert (kinds("duty"), kinds("plain"), kinds("ops")) == (
        ["opened", "acknowledged"], ["opened"], ["opened"],
    )  # fmt: skip
    [seen] = Notification.objects.filter(kind="acknowledged")
    assert seen.payload["message"] == "anna has seen that c1 on local is in trouble."
    incident.refresh_from_db()
    change(incident, world.now, severity="critical")
    told_after(world, 5)
    resolve(incident, world.now)
    told_after(world, 5)
    assert kinds("duty")[2:] == ["escalated", "resolved"]


def test_what_the_url_says_of_its_own_is_kept(service: Service) -> None:
    send(f"{PAGERDUTY}?dedup=mine", about(812, "opened"), 10)
    send(PAGERDUTY, blank(uuid.uuid4(), "test", "info", "Title", "One sentence."), 10)
    assert [got.get("dedup_key") for got in service.documents] == ["mine", None]


@pytest.mark.django_db(transaction=True)
def test_many_messages_at_once_are_no_digest_there_and_none_is_read_before_its_turn(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    script, channel = Script(), a_channel(url=PAGERDUTY)
    rows_of(channel, world, 8)
    read, from_db = [], Notification.from_db

    def counted(*given: Any) -> Notification:
        read.append(1)
        return from_db(*given)

    monkeypatch.setattr(Notification, "from_db", counted)
    assert deliver(world.clock, script) == 8
    assert script.titles == [f"m{number}" for number in range(8)]
    assert len(read) == 8


@pytest.mark.django_db
class TestWhatMessagesSay:
    def payload(self, incident: Incident, **wanted: str) -> Any:
        return Notification.objects.filter(incident=incident, **wanted).latest("created_at").payload

    def test_a_critical_one_that_restarts_are_used_up(self, world: World) -> None:
        a_channel()
        instance = world.instance(status="failed")
        incident = world.incident(instance, "critical")
        told_after(world, 30)
        said = self.payload(incident)
        assert "with its automatic restarts used up" in said["message"]
        assert said["next_step"].startswith("Read `manage.py logs --customer-id c1`, mend the cause")
        assert health_of(instance).status == "failed"

    def test_where_nothing_is_restarted_that_nothing_is(self, world: World, settings: Settings) -> None:
        a_channel()
        settings.RESTART_LIMIT = 0
        incident = world.incident(world.instance(status="failed"), "critical")
        told_after(world, 30)
        said = self.payload(incident)
        assert "nothing is restarted automatically, as DOCKMGR_RESTART_LIMIT is 0" in said["message"]
        assert "used up" not in said["message"] + str(list(incident.events.values_list("text")))
        assert "manage.py restart" in said["next_step"]

    def test_one_that_is_still_restarted_does_not(self, world: World) -> None:
        a_channel()
        incident = world.incident(world.instance(status="unhealthy"))
        told_after(world, 30)
        said = self.payload(incident)
        assert "used up" not in said["message"]
        assert said["next_step"] == "See what it says with `manage.py logs --customer-id c1`."

    def test_a_host_how_many_customers_it_affects(self, world: World) -> None:
        a_channel()
        for number in range(2):
            world.instance(f"c{number}")
        world.instance("off", status="paused")
        incident = world.host_incident()
        told_after(world, 1)
        said = self.payload(incident)
        assert "and affects 2 customers: The engine does not answer." in said["message"]
        assert "host local runs" in said["next_step"]

    def test_a_wave_whom_it_affects_and_that_the_engine_answers(self, world: World) -> None:
        a_channel()
        for number in range(3):
            world.instance(f"c{number}", down_since=world.now if number < 2 else None)
        incident = world.host_incident(cause="wave", message="2 of 3 instances failed.")
        told_after(world, 1)
        said = self.payload(incident)
        assert said["title"] == "Host local answers, but many of its instances fail at once"
        assert "and affects 2 customers: 2 of 3 instances failed." in said["message"]
        assert "in common" in said["next_step"] and "Docker Engine" not in said["next_step"]

    def test_the_end_that_nothing_needs_to_be_done(self, world: World) -> None:
        a_channel()
        incident = world.incident(world.instance())
        told_after(world, 30)
        resolve(incident, world.now)
        told_after(world, 0)
        assert self.payload(incident, kind="resolved")["next_step"] == "Nothing needs to be done."

    def test_a_disabled_channel_how_to_try_it(self, world: World) -> None:
        assert "manage.py test_channel ops" in disabled(a_channel(), "It is gone.")["next_step"]

    def test_the_fleet_and_dockmgr_where_to_look(self, world: World) -> None:
        a_channel()
        for key, words in (("fleet", "in common"), ("self", "/readyz")):
            incident = world.large_incident(key)
            change(incident, world.now)
            told_after(world, 1)
            assert words in self.payload(incident)["next_step"]
