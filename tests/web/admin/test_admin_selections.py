"""Orders for a selection of instances: confirmed, carried out turn by turn, reported."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from django.conf import settings

from instances.admin.selections import TOO_MANY
from instances.db.clock import SYSTEM
from instances.errors import RequestError
from instances.fleet import bulk as bulk_changing
from instances.models import Bulk, Health, Instance, Operation
from tasks import bulk as selections
from tasks import maintenance
from tasks.app import app
from tests.desk import INSTANCE, at_desk, audited, do, said
from tests.factories import World, an_order
from tests.fast.conftest import Message

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.filterwarnings("ignore:No directory at:UserWarning"),  # nobody collected static files here
]
Sent = Callable[[str], list[Message]]


def turns(sent: Sent) -> list[Message]:
    """The messages that carry selections on."""
    return [message for message in sent("operations") if message.task == "dockmgr.carry_out_bulk"]


class TestSelections:
    """Orders for many instances."""

    def choose(self, role: str, verb: str, *keys: int, **fields: str) -> Any:
        given = {"action": f"{verb}_selected", "_selected_action": [str(key) for key in keys], "index": "0"}
        return at_desk(role).post(INSTANCE, {**given, **fields})

    def test_a_selection_is_confirmed_first(self, world: World, sent: Sent) -> None:
        page = self.choose("operator", "restart", world.instance("c1").pk).content.decode()
        assert "Restart 1 instance?" in page and "interrupted" in page
        assert not Bulk.objects.exists()

    def test_a_form_that_is_sent_twice_is_one_order(self, world: World, sent: Sent) -> None:
        key = world.instance("c1").pk
        form = self.choose("operator", "restart", key).context_data["form"]
        fields = {**form.initial, "confirmed": "1", "reason": "y"}
        first, second = (self.choose("operator", "restart", key, **fields) for _ in range(2))
        assert first.headers["Location"] == second.headers["Location"]
        assert (Bulk.objects.count(), len(turns(sent))) == (1, 1)
        assert "was ordered before" in said(second)
        assert "ordered with this form already" in said(self.choose("operator", "update", key, **fields))
        broken = self.choose("operator", "restart", key, **{**fields, "request_id": "-" * 36})
        assert "malformed" in said(broken) and Bulk.objects.count() == 1

    def test_the_largest_selection_fits_into_a_request(self) -> None:
        keys = ",".join(["9" * 18] * TOO_MANY)
        assert len(urlencode({"keys": keys})) < settings.DATA_UPLOAD_MAX_MEMORY_SIZE / 4

    def test_what_was_shown_is_ordered_whoever_has_come_or_left_since(self, world: World, sent: Sent) -> None:
        one, two, three = (world.instance(f"c{number}") for number in range(3))
        page = self.choose("operator", "check", one.pk, select_across="1")
        assert "Check 3 instances?" in page.content.decode()
        world.instance("new")
        Instance.objects.filter(pk=two.pk).update(decommissioned_at=world.now)
        fields = {**page.context_data["form"].initial, "confirmed": "1"}
        self.choose("operator", "check", one.pk, select_across="1", **fields)
        assert sorted(Bulk.objects.get().instances) == [one.pk, three.pk]

    def test_an_order_is_enqueued_carried_out_and_reported(self, world: World, sent: Sent) -> None:
        one, busy = world.instance("c1"), world.instance("c2")
        do("operator", busy, "restart", reason="first")
        sent("operations")
        done = self.choose("operator", "restart", one.pk, busy.pk, confirmed="1", reason="new kernel")
        bulk = Bulk.objects.get()
        assert (bulk.by, bulk.reason, bulk.pending) == ("admin:operator", "new kernel", [one.pk, busy.pk])
        selections.carry_out_bulk(str(bulk.pk))
        [operation] = Operation.objects.filter(request_id__startswith=bulk.request_prefix)
        assert (operation.customer_id, operation.reason) == ("c1", "new kernel")
        report = at_desk("operator").get(done.headers["Location"]).content.decode()
        assert "queued" in report and "c2 is being changed" in report
        assert "1 of 2 are through, 1 under way" in report

    def test_no_host_is_overrun(self, world: World) -> None:
        keys = [world.instance(f"c{number}").pk for number in range(6)]
        bulk = an_order("restart", keys, by="admin:x", reason="y")
        turn = bulk_changing.advance(bulk.pk, 0)
        assert (len(turn.operations), turn.following) == (4, 1)
        assert bulk_changing.advance(bulk.pk, 1) == bulk_changing.Turn(following=2)
        Operation.objects.update(finished_at=SYSTEM.now())
        last = bulk_changing.advance(bulk.pk, 2)
        assert (len(last.operations), last.following) == (2, None)

    def test_a_turn_is_taken_once(self, world: World) -> None:
        keys = [world.instance(f"c{number}").pk for number in range(6)]
        bulk = an_order("restart", keys, by="admin:x", reason="y")
        bulk_changing.advance(bulk.pk, 0)
        Operation.objects.update(finished_at=SYSTEM.now())
        assert bulk_changing.advance(bulk.pk, 0) == bulk_changing.Turn()
        assert Operation.objects.count() == 4

    def test_checks_and_pauses_are_done_for_all_at_once(self, world: World, sent: Sent) -> None:
        keys = [world.instance(f"c{number}").pk for number in range(6)]
        checks = an_order("check", keys, by="x", reason="")
        selections.carry_out_bulk(str(checks.pk))
        selections.carry_out_bulk(str(checks.pk))
        assert {message.kwargs["customer_id"] for message in sent("health")} == {f"c{n}" for n in range(6)}
        checks.refresh_from_db()
        assert (checks.pending, checks.due_at) == ([], None)
        bulk_changing.advance(an_order("pause", keys).pk, 0)
        assert set(Health.objects.values_list("status", flat=True)) == {"paused"}

    def test_an_order_whose_message_got_lost_is_carried_on(self, world: World, sent: Sent) -> None:
        keys = [world.instance(f"c{number}").pk for number in range(6)]
        bulk = an_order("restart", keys, by="admin:x", reason="y")
        selections.carry_out_bulk(str(bulk.pk))
        sent("operations")
        world.clock.advance(60)
        maintenance.recover()
        assert not turns(sent)
        world.clock.advance(3)
        maintenance.recover()
        [again] = turns(sent)
        assert again.kwargs == {"bulk_id": str(bulk.pk), "turn": 1}
        Operation.objects.update(finished_at=SYSTEM.now())
        selections.carry_out_bulk(**again.kwargs)
        assert Operation.objects.count() == 6

    def test_an_order_that_no_broker_takes_was_never_given(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(app.conf, "broker_url", "redis+socket:///nowhere/redis.sock")
        page = self.choose("operator", "restart", world.instance("c1").pk, confirmed="1", reason="y")
        assert (page.status_code, page.headers["Location"]) == (302, INSTANCE)
        assert "broker can't be reached" in said(page) and not Bulk.objects.exists()
        assert "broker" in audited("restart selection").outcome

    def test_an_order_has_bounds(self, world: World) -> None:
        for keys in (range(0), range(bulk_changing.MOST_INSTANCES + 1)):
            with pytest.raises(RequestError):
                an_order("check", keys, by="x", reason="")
