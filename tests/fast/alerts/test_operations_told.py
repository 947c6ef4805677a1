"""Channels that ask for operations are told of each that ended, exactly when it did."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from instances import documents
from instances.alerts.delivery_rules import SENT
from instances.alerts.send import send
from instances.alerts.signature import headers, secret_of
from instances.models import Channel, Notification
from instances.operations import service
from instances.operations.journal import Journal
from tests.factories import ASKED, SECRET, World
from tests.fast.conftest import Ran, Run
from tests.fast.telling import a_channel, outbox, told_after
from tests.receiver import Receiver

pytestmark = pytest.mark.django_db
KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def hears(**changes: Any) -> Channel:
    return a_channel(**{"incidents": False, "operations": True, **changes})


def test_its_document_is_that_of_the_api(world: World) -> None:
    hears()
    world.instance()
    restarted = world.restart()
    [told] = Notification.objects.all()
    assert (told.kind, told.level, told.payload["customer_id"]) == ("operation", "info", "c1")
    assert told.payload["operation"] == json.loads(json.dumps(documents.operation(restarted)))
    assert told.payload["message"] == "Restart of c1 succeeded, asked for by tests."


def test_what_failed_is_a_warning_and_says_why(world: World) -> None:
    hears(min_level="warning")
    instance = world.instance()
    world.restart()
    world.engine.unreachable = True
    world.clock.advance(1)
    world.restart()
    [told] = Notification.objects.all()
    assert (told.level, instance.customer_id in told.payload["message"]) == ("warning", True)
    assert told.payload["operation"]["status"] == "failed"
    assert told.payload["operation"]["error"] in told.payload["message"]


def test_a_channel_hears_what_it_is_for(world: World) -> None:
    world.instance()
    hears(name="this one", customers=["c1"], plans=["pro"], hosts=["local"])
    hears(name="another customer", customers=["c2"])
    hears(name="another plan", plans=["free"])
    hears(name="another host", hosts=["far"])
    hears(name="no operations", operations=False, incidents=True)
    hears(name="off", enabled=False)
    world.restart()
    assert list(Notification.objects.values_list("channel__name", flat=True)) == ["this one"]


def test_it_is_told_of_no_incident_unless_it_asks(world: World) -> None:
    hears(name="work")
    a_channel("both", operations=True)
    world.incident(world.instance())
    assert told_after(world, 60) == ["both opened warning c1"]
    assert [line for line in outbox() if line.startswith("work")] == []


def test_only_the_end_that_was_written_down_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    hears()
    world.instance()
    operation = service.begin_restart("c1", ASKED, world.outside)
    close = Journal.close

    def closed_and_lost(self: Journal, status: str, error: str = "") -> None:
        close(self, status, error)
        monkeypatch.setattr(Journal, "close", close)
        raise ConnectionResetError

    monkeypatch.setattr(Journal, "close", closed_and_lost)
    assert service.run_once(operation.pk, world.outside).status == "failed"
    assert [told.payload["operation"]["status"] for told in Notification.objects.all()] == ["failed"]


def test_nobody_hears_of_incidents_where_all_channels_are_for_operations(world: World, run: Run) -> None:
    hears()
    world.incident(world.instance())
    assert told_after(world, 60) == []
    assert run("incidents", "--open", "--json").document


def test_the_fleet_file_says_what_a_channel_hears_and_how_it_is_signed(
    world: World, run: Run, tmp_path: Path
) -> None:
    def applied(**channel: Any) -> Ran:
        path = tmp_path / "fleet.yaml"
        path.write_text(json.dumps({"channels": [{"name": "ops", **channel}]}))
        return run("apply", str(path), "--json")

    url = f"json://127.0.0.1:9/hook?signing_secret={KEY}"
    assert applied(url=url, events=["operations"]).code == 0
    row = Channel.objects.get()
    assert (row.incidents, row.operations) == (False, True)
    assert applied(url=url, events=["incidents", "operations"]).code == 0
    for wrong in (
        {"url": url, "events": []},
        {"url": url, "events": ["sweeps"]},
        {"url": url.replace("whsec_", "")},
        {"url": f"pagerduty://{'a' * 32}@{'b' * 32}", "events": ["operations"]},
        {"url": f"pagerduty://{'a' * 32}@{'b' * 32}"},  # it is told of operations already
    ):
        refused = applied(**wrong)
        assert (refused.code, refused.err.count("\n"), KEY[6:] in refused.err + refused.out) == (2, 1, False)


def test_a_signed_message_is_what_its_receiver_can_verify(world: World) -> None:
    with Receiver() as receiver:
        url = receiver.url(f"/hook?signing_secret={KEY}")
        hears(url=url)
        world.instance()
        world.restart()
        assert send(url, Notification.objects.get().payload, 30) == SENT
        [got] = receiver.got
    assert got.path == "/hook"
    secret = secret_of(url)
    assert secret
    said = {name: got.headers[name] for name in ("webhook-id", "webhook-timestamp", "webhook-signature")}
    assert headers(secret, said["webhook-id"], int(said["webhook-timestamp"]), got.body) == said
    assert said["webhook-id"] == got.document["id"]
    assert SECRET not in got.body.decode()
