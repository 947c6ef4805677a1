"""The commands about incidents, mutes and uptime print what the contract says and end with its codes."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries

from instances.alerts import outbox
from instances.alerts.delivery_rules import SENT, DeliveryOutcome, DeliveryResult
from instances.alerts.mute import mute, scope
from instances.checks.record import record
from instances.incidents import documents as incident_documents
from instances.incidents import mutes
from instances.incidents.rules import FLEET
from instances.management.commands import operations, test_channel
from instances.models import Channel, Host, Incident, Instance, Transition
from instances.operations import service
from tests.factories import ASKED, World, a_check, a_failure
from tests.fast.conftest import Run
from tests.fast.management.refusals import refused
from tests.rows import row

pytestmark = pytest.mark.django_db
INCIDENT = {
    "id", "key", "kind", "customer_id", "host", "plan", "severity", "status", "cause", "message", "opened_at",
    "confirmed_at", "resolved_at", "downtime_seconds", "restarts", "flapping", "acknowledged_at",
    "acknowledged_by", "muted_until", "resolution",
}  # fmt: skip
UPTIME = {
    "uptime_percent", "uptime_seconds", "downtime_seconds", "unknown_seconds", "unwatched_seconds", "outages",
    "mean_time_to_recover_seconds", "down_since", "restarts", "restarts_helped",
}  # fmt: skip


def fails(world: World, instance: Instance, times: int = 3) -> None:
    """So many failed checks, 30 s apart."""
    for _ in range(times):
        world.clock.advance(30)
        instance.refresh_from_db()
        record([a_failure(world, instance, "http_503")], world.now)


def recovers(world: World, instance: Instance) -> None:
    for _ in range(2):
        world.clock.advance(30)
        instance.refresh_from_db()
        record([a_check(world, instance)], world.now)


def ids(document: list[dict[str, Any]]) -> list[str | None]:
    return [row["customer_id"] or row["host"] for row in document]


def test_incidents_are_listed_the_newest_first(world: World, run: Run) -> None:
    world.incident(world.instance("c1"), resolved_at=world.now)
    world.clock.advance(60)
    world.incident(world.instance("c2"))
    ran = run("incidents", "--json")
    assert (ran.code, ids(ran.document)) == (0, ["c2", "c1"])
    assert all(set(row) == INCIDENT for row in ran.document)
    assert ids(run("incidents", "--open", "--json").document) == ["c2"]
    assert ids(run("incidents", "--customer-id", "c1", "--json").document) == ["c1"]
    assert ids(run("incidents", "--limit", "1", "--json").document) == ["c2"]
    world.instance("c3")
    assert run("incidents", "--customer-id", "c3", "--json").document == []


def test_an_incident_says_what_was_wrong_for_how_long(world: World, run: Run) -> None:
    instance = world.instance()
    fails(world, instance)
    [document] = run("incidents", "--json").document
    wanted = {
        "kind": "instance", "key": "health:c1", "host": "local", "plan": "pro", "severity": "warning",
        "status": "open", "cause": "http_503", "downtime_seconds": 60.0, "resolved_at": None, "restarts": 0,
        "opened_at": "2026-03-01T12:00:30Z", "confirmed_at": "2026-03-01T12:01:30Z", "muted_until": None,
    }  # fmt: skip
    assert {name: document[name] for name in wanted} == wanted
    recovers(world, instance)
    world.clock.advance(3600)
    [document] = run("incidents", "--json").document
    assert (document["status"], document["downtime_seconds"]) == ("resolved", 120.0)
    assert document["resolution"].startswith("healthy again")


def test_the_timeline_comes_when_asked_for(world: World, run: Run) -> None:
    fails(world, world.instance())
    [document] = run("incidents", "--events", "--json").document
    assert set(document) == INCIDENT | {"events", "last_words"}
    assert all(set(event) == {"at", "kind", "text"} for event in document["events"])
    assert [event["kind"] for event in document["events"]][:2] == ["opened", "status"]
    assert "opened" in run("incidents", "--events").out


def test_people_get_a_table(world: World, run: Run) -> None:
    world.incident(world.instance())
    world.large_incident(FLEET)
    said = run("incidents").out
    assert all(word in said for word in ("c1", "warning", "1 min", "fleet", "Half of all"))


def test_a_list_that_is_cut_says_so_beside_the_document(
    world: World, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.incidents([world.instance(customer) for customer in ("c1", "c2")])
    for customer in ("c1", "c2"):
        service.begin_restart(customer, ASKED)
    cut = run("incidents", "--limit", "1", "--json")
    assert (len(cut.document), cut.err) == (1, "Only the newest 1 are listed; --limit lists up to 1000.\n")
    assert run("incidents", "--limit", "2").err == ""
    monkeypatch.setattr(operations, "SHOWN", 1)
    cut = run("operations", "--json")
    assert (len(cut.document), cut.err) == (
        1, "Only the newest 1 are listed; --customer-id lists those of one customer.\n",
    )  # fmt: skip
    assert run("operations", "--customer-id", "c1").err == ""


def test_many_incidents_take_as_many_queries_as_few(
    world: World, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    world.incidents([world.instance(f"c{number}") for number in range(3)])
    world.host_incident()
    mute(scope(host="local"), world.now + timedelta(hours=1), world.now, by="tests")
    with django_assert_num_queries(4):
        documents = incident_documents.incidents(Incident.objects.all(), world.now, events=True)
    assert {row["muted_until"] for row in documents} == {"2026-03-01T13:00:00Z"}


def test_a_host_s_incident_is_not_muted_by_its_instances_mutes(world: World) -> None:
    world.instance()
    world.host_incident()
    mute(scope(plan="pro"), world.now + timedelta(hours=1), world.now, by="tests")
    [document] = incident_documents.incidents(Incident.objects.all(), world.now)
    assert (document["muted_until"], document["host"], document["customer_id"]) == (None, "local", None)


def test_an_incident_is_acknowledged_and_the_first_who_did_stays(world: World, run: Run) -> None:
    number = world.incident(world.instance()).pk
    ran = run("ack", "--incident-id", str(number), "--json")
    assert ran.code == 0
    assert set(ran.document) == INCIDENT | {"events"}
    assert ran.document["acknowledged_by"].startswith("cli:")
    assert ran.document["events"][-1]["kind"] == "acknowledged"
    world.clock.advance(60)
    again = run("ack", "--customer-id", "c1", "--json")
    assert (again.code, again.document["acknowledged_at"]) == (0, ran.document["acknowledged_at"])
    assert "acknowledged by cli:" in run("ack", "--customer-id", "c1").out


def test_what_is_over_can_not_be_acknowledged(world: World, run: Run) -> None:
    world.incident(world.instance(), resolved_at=world.now)
    assert run("ack", "--customer-id", "c1").err == "Customer c1 has no open incident.\n"
    ran = run("ack", "--incident-id", str(Incident.objects.get().pk))
    assert (ran.code, ran.err.count("\n")) == (2, 1)


def test_muting_prints_the_mute(world: World, run: Run) -> None:
    instance = world.instance()
    ran = run("mute", "--host", "local", "--for", "2h", "--reason", "kernel", "--json")
    assert ran.code == 0
    assert ran.document["by"].startswith("cli:")
    assert ran.document | {"by": ""} == {
        "scope": "host", "name": "local", "starts_at": "2026-03-01T12:00:00Z", "by": "",
        "until": "2026-03-01T14:00:00Z", "reason": "kernel",
    }  # fmt: skip
    assert mutes.end_for(instance, world.now) == world.now + timedelta(hours=2)
    said = run("mute", "--customer-id", "c1", "--until", "2026-03-02T00:00:00Z").out
    assert said == "c1: muted until 2026-03-02T00:00:00Z\n"


def test_unmuting_tells_when_something_else_still_mutes(world: World, run: Run) -> None:
    world.instance()
    run("mute", "--customer-id", "c1", "--for", "1h")
    run("mute", "--plan", "pro", "--for", "2h")
    ran = run("unmute", "--customer-id", "c1", "--json")
    assert (ran.code, ran.document) == (
        0, {"name": "c1", "ended": True, "muted_until": "2026-03-01T14:00:00Z"},
    )  # fmt: skip
    assert "still muted" in run("unmute", "--customer-id", "c1").out
    assert run("unmute", "--plan", "pro").out == "pro: no longer muted\n"
    assert run("unmute", "--plan", "pro").out == "pro: was not muted\n"


def test_uptime_is_told_by_instance_by_plan_and_in_all(world: World, run: Run) -> None:
    instance = world.instance()
    for ago, availability in ((7200, "up"), (1800, "down"), (900, "up")):
        at = world.now - timedelta(seconds=ago)
        Transition.objects.create(instance=instance, at=at, availability=availability)
    ran = run("uptime", "--since", "1h", "--json")
    assert (ran.code, ran.document["since"], ran.document["until"]) == (
        0, "2026-03-01T11:00:00Z", "2026-03-01T12:00:00Z",
    )  # fmt: skip
    [one], [plan] = ran.document["instances"], ran.document["plans"]
    assert set(one) == UPTIME | {"customer_id", "plan", "outside"}
    assert set(plan) == UPTIME | {"plan", "instances", "outside"}
    assert set(ran.document["all"]) == UPTIME | {"instances", "outside"}
    assert (one["uptime_percent"], one["downtime_seconds"], one["mean_time_to_recover_seconds"]) == (
        75.0, 900.0, 900.0,
    )  # fmt: skip
    said = run("uptime", "--since", "1h").out
    assert all(word in said for word in ("c1", "75 %", "15 min", "pro", "all"))


def test_uptime_of_some_is_asked_by_customer_or_plan(world: World, run: Run) -> None:
    world.instance("c1")
    world.instance("c2", host=Host.objects.create(name="far", docker_url="unix:///fake/two.sock"))
    trial = world.instance("throwaway")
    Instance.objects.filter(pk=trial.pk).update(expires_at=world.now)

    def told(*words: str) -> list[str]:
        return [row["customer_id"] for row in run("uptime", *words, "--json").document["instances"]]

    assert told() == ["c1", "c2"]
    assert told("--customer-id", "c2") == ["c2"]
    assert told("--plan", "pro") == ["c1", "c2"]
    assert told("--plan", "free") == []


@pytest.mark.parametrize("enabled", [True, False])
def test_a_test_message_says_whether_it_arrived(
    world: World, run: Run, monkeypatch: pytest.MonkeyPatch, enabled: bool
) -> None:
    got: list[tuple[str, dict[str, Any]]] = []

    def send(url: str, document: dict[str, Any], _timeout: float) -> DeliveryResult:
        got.append((url, document))
        return answers.pop()

    answers = [DeliveryResult(DeliveryOutcome.TRANSIENT, "The connection was refused."), SENT]
    monkeypatch.setattr(test_channel, "send_test", partial(outbox.send_test, send=send))
    Channel.objects.create(name="ops", url="json://127.0.0.1/hook", enabled=enabled)
    ran = run("test_channel", "ops", "--json")
    [(url, message)] = got
    assert (url, message["kind"]) == ("json://127.0.0.1/hook", "test")
    assert (ran.code, ran.document) == (
        0, {"channel": "ops", "id": message["id"], "arrived": True, "error": None, "enabled": enabled},
    )  # fmt: skip
    failed = run("test_channel", "ops")
    assert failed.code == 1
    assert "did not arrive: The connection was refused." in failed.out
    assert ("disabled" in failed.out) is not enabled


WRONG = [
    *((command,) for command in ("ack", "mute", "unmute", "test_channel")),
    *((command, "--bogus") for command in ("incidents", "uptime")),
    *((command, "--customer-id", name) for command in ("ack", "unmute") for name in ("Nobody", "nobody", "")),
    ("ack", "--customer-id", "c1"),
    ("ack", "--incident-id", "7"),
    ("ack", "--incident-id", "9" * 30),
    ("ack", "--incident-id", "x"),
    ("ack", "--incident-id", "7", "--customer-id", "c1"),
    ("incidents", "--customer-id", "Bad"),
    *(("incidents", "--limit", limit) for limit in ("0", "-1", "1001", "x")),
    ("mute", "--customer-id", "c1"),
    ("mute", "--for", "1h"),
    ("mute", "--customer-id", "nobody", "--for", "1h"),
    ("mute", "--customer-id", "c1", "--host", "local", "--for", "1h"),
    ("mute", "--host", "mars", "--for", "1h"),
    ("mute", "--plan", "platinum", "--for", "1h"),
    *(("mute", "--host", "local", "--for", lasts) for lasts in ("", "0s", "31d", "soon")),
    *(
        ("mute", "--host", "local", "--until", until)
        for until in ("2h", "2026-03-01T12:00:00Z", "2026-04-01T12:00:00Z")
    ),
    ("mute", "--host", "local", "--for", "1h", "--until", "2026-03-02T00:00:00Z"),
    ("unmute", "--host", "mars"),
    *(("uptime", "--since", since) for since in ("", "ever", "0s", "2027-01-01T00:00:00Z")),
    ("uptime", "--plan", "platinum"),
    ("uptime", "--customer-id", "nobody"),
    ("uptime", "--customer-id", "c1", "--plan", "pro"),
    ("test_channel", "nowhere"),
]


def test_a_wrong_request_is_code_2_and_one_sentence_and_touches_nothing(world: World, run: Run) -> None:
    world.instance()
    for words in WRONG:
        with row(words):
            refused(run, *words)
            assert not mutes.active(world.now).exists()
