"""Commands that make no operation: who and why is kept and shown, asking twice does it once."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import Mock

import pytest
from django.db import OperationalError

from instances.access.asked import OTHER_ARGUMENTS, differs, noted, parted
from instances.errors import BusyError, OutOfReachError
from instances.fleet import bulk
from instances.management.commands import pause
from instances.models import AuditEntry, Instance, Mute, Operation, Plan
from instances.operations import service
from tests.factories import ASKED, World, an_order, health_of
from tests.fast.conftest import Run
from tests.rows import row

pytestmark = pytest.mark.django_db
WHY = ("--reason", "holiday", "--request-id", "r1", "--json")


def the_audit(action: str) -> list[tuple[str, str]]:
    return list(AuditEntry.objects.filter(action=action).values_list("reason", "request_id"))


def test_who_paused_it_since_when_and_why_is_kept_until_it_is_resumed(world: World, run: Run) -> None:
    world.instance("c1")
    paused = run("pause", "--customer-id", "c1", *WHY).document
    assert paused["paused_by"].startswith("cli:") and paused["pause_reason"] == "holiday"
    assert paused["paused_at"] == world.now.isoformat().replace("+00:00", "Z")
    again = run("pause", "--customer-id", "c1", "--reason", "another", "--json").document
    assert again["pause_reason"] == "holiday"
    resumed = run("resume", "--customer-id", "c1", "--reason", "back", "--json").document
    assert (resumed["paused_by"], resumed["paused_at"], resumed["pause_reason"]) == (None, None, None)
    assert the_audit("resume") == [("back", "")]


def test_a_pause_asked_for_twice_does_not_undo_what_came_between(world: World, run: Run) -> None:
    instance = world.instance("c1")
    run("pause", "--customer-id", "c1", *WHY)
    run("resume", "--customer-id", "c1")
    ran = run("pause", "--customer-id", "c1", *WHY)
    assert (ran.code, ran.document["customer_id"]) == (0, "c1")
    assert health_of(instance).status != "paused"
    assert the_audit("pause") == [("holiday", "r1")]


def test_a_request_id_of_something_else_is_refused(world: World, run: Run) -> None:
    world.instance("c1")
    world.instance("c2")
    run("pause", "--customer-id", "c1", *WHY)
    ran = run("pause", "--customer-id", "c2", *WHY)
    assert (ran.code, ran.err) == (2, "This request id was used for pause c1.\n")
    assert run("resume", "--customer-id", "c1", *WHY).code == 2


def test_what_was_refused_may_be_asked_again(world: World, run: Run) -> None:
    assert run("pause", "--customer-id", "c1", *WHY).code == 2
    instance = world.instance("c1")
    assert run("pause", "--customer-id", "c1", *WHY).code == 0
    assert health_of(instance).status == "paused"


def test_what_was_busy_is_done_when_it_is_asked_for_again(world: World, run: Run) -> None:
    instance = world.instance("c1")
    restart = service.begin_restart("c1", ASKED)
    refused = run("pause", "--customer-id", "c1", *WHY)
    assert refused.code == 1 and "is being changed" in refused.err
    service.run_to_end(restart.pk)
    assert run("pause", "--customer-id", "c1", *WHY).document["status"] == "paused"
    assert health_of(instance).status == "paused"
    assert the_audit("pause") == [("holiday", "r1"), ("holiday", "")]


@pytest.mark.parametrize("error", [BusyError("Busy."), OutOfReachError("Away."), OperationalError("locked")])
def test_what_failed_leaves_its_request_id_free(
    world: World, run: Run, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    world.instance("c1")
    with monkeypatch.context() as broken:
        broken.setattr(pause.Command, "run", Mock(side_effect=error))
        assert run("pause", "--customer-id", "c1", *WHY).code in (1, 3)
    ran = Mock(return_value=({}, 0))
    monkeypatch.setattr(pause.Command, "run", ran)
    for _ in range(2):
        run("pause", "--customer-id", "c1", *WHY)
    ran.assert_called_once()


def test_a_mute_whose_record_is_gone_is_answered_in_a_sentence(world: World, run: Run) -> None:
    world.instance("c1")
    run("mute", "--customer-id", "c1", "--for", "2h", *WHY)
    Mute.objects.all().delete()
    ran = run("mute", "--customer-id", "c1", "--for", "2h", *WHY)
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert "not kept any more" in ran.err


def test_an_acknowledgement_says_why_and_is_made_once(world: World, run: Run) -> None:
    incident = world.incident(world.instance("c1"))
    first = run("ack", "--customer-id", "c1", *WHY)
    second = run("ack", "--customer-id", "c1", *WHY)
    assert (first.code, second.code) == (0, 0)
    assert first.document["id"] == second.document["id"] == incident.pk
    texts = list(incident.events.filter(kind="acknowledged").values_list("text", flat=True))
    assert len(texts) == 1 and texts[0].endswith(": holiday")


def test_a_mute_and_its_end_say_why_and_are_made_once(world: World, run: Run) -> None:
    incident = world.incident(world.instance("c1"))
    for _ in range(2):
        assert run("mute", "--customer-id", "c1", "--for", "2h", *WHY).document["reason"] == "holiday"
    assert Mute.objects.count() == 1
    world.clock.advance(60)
    ended = ("unmute", "--customer-id", "c1", "--reason", "over", "--request-id", "r2", "--json")
    assert [run(*ended).document["ended"] for _ in range(2)] == [True, False]
    assert incident.events.get(kind="unmuted").text.endswith(": over")


def test_a_fleet_file_is_applied_once_per_request(world: World, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "fleet.yaml"
    file.write_text("plans: [{name: pro, cpus: 3}]")
    assert run("apply", str(file), *WHY).document["changes"]
    Plan.objects.filter(name="pro").update(cpus=1)
    assert run("apply", str(file), *WHY).document == {"changes": []}
    assert Plan.objects.get(name="pro").cpus == 1
    assert the_audit("apply") == [("holiday", "r1")]


TAKING_AN_ID = [
    ("restart", "--customer-id", "c1"),
    ("mute", "--customer-id", "c1", "--for", "2h"),
    ("adopt", "--container", "old", "--customer-id", "c2", "--subdomain", "c2.example.com"),
    ("test_deploy", "--plan", "pro"),
]


def test_an_empty_request_id_is_refused(world: World, run: Run) -> None:
    world.instance("c1")
    for words in TAKING_AN_ID:
        with row(words):
            ran = run(*words, "--request-id", "", "--json")
            assert ran.code == 2
            assert ran.document["error"] == "--request-id is empty; leave it out where nothing is meant."
    assert (Operation.objects.count(), Mute.objects.count()) == (0, 0)


def test_a_test_deployment_is_made_once_and_says_why(world: World, run: Run) -> None:
    first = run("test_deploy", "--plan", "pro", *WHY)
    made = Operation.objects.count()
    assert set(Operation.objects.values_list("reason", flat=True)) == {"holiday"}
    second = run("test_deploy", "--plan", "pro", *WHY)
    assert (Operation.objects.count(), second.code) == (made, first.code)
    assert second.document["success"] is first.document["success"]


def test_a_selection_that_is_paused_says_by_whom(world: World) -> None:
    instance = world.instance("c1")
    order = an_order("pause", [instance.pk], by="admin:x", reason="moving")
    bulk.advance(order.pk, 0)
    kept = Instance.objects.get(pk=instance.pk)
    assert (kept.paused_by, kept.pause_reason) == ("admin:x", "moving")


def test_another_fleet_file_of_that_name_is_refused_under_the_same_id(
    world: World, run: Run, tmp_path: Path
) -> None:
    file = tmp_path / "fleet.yaml"
    file.write_text("plans: [{name: pro, cpus: 3}]")
    assert run("apply", str(file), *WHY).code == 0
    file.write_text("plans: [{name: pro, cpus: 4}]")
    ran = run("apply", str(file), *WHY)
    assert ran.code == 2
    assert ran.err == f"This request id was used for apply {file} {OTHER_ARGUMENTS}.\n"
    assert Plan.objects.get(name="pro").cpus == 3


def test_what_a_request_would_change_is_shown_whatever_its_id_was_used_for(
    world: World, run: Run, tmp_path: Path
) -> None:
    file = tmp_path / "fleet.yaml"
    file.write_text("plans: [{name: pro, cpus: 3}]")
    run("apply", str(file), *WHY)
    file.write_text("plans: [{name: pro, cpus: 4}]")
    shown = run("apply", str(file), "--dry-run", *WHY).document
    assert shown["changes"][0]["fields"] == {"cpus": {"before": 3.0, "after": 4.0}}


def test_other_arguments_under_the_same_id_are_refused(world: World, run: Run) -> None:
    world.instance("c1")
    mute = ("mute", "--customer-id", "c1", "--for")
    assert run(*mute, "2h", *WHY).code == 0
    ran = run(*mute, "3h", *WHY)
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert OTHER_ARGUMENTS in ran.err
    assert run(*mute, "2h", *WHY).code == 0


def test_the_audit_log_of_an_older_release_is_answered_as_it_stands(world: World, run: Run) -> None:
    world.instance("c1")
    run("mute", "--customer-id", "c1", "--for", "2h", *WHY)
    AuditEntry.objects.update(outcome="done")
    assert run("mute", "--customer-id", "c1", "--for", "3h", *WHY).code == 0
    assert Mute.objects.count() == 1


def test_a_long_outcome_keeps_what_tells_equal_requests(world: World, run: Run) -> None:
    kept = noted("x" * 400, {"plan": "pro"}, 255)
    assert (len(kept), set(parted(kept)[0])) == (255, {"x"})
    assert not differs(parted(kept)[1], {"plan": "pro", "image": None})
    assert differs(parted(kept)[1], {"plan": "free"})


def test_an_id_that_no_record_could_hold_is_refused_before_anything_is_done(world: World, run: Run) -> None:
    instance = world.instance("c1")
    assert run("pause", "--customer-id", "c1", "--request-id", "x" * 129).code == 2
    assert health_of(instance).status != "paused"
