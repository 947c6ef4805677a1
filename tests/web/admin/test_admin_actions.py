"""What operators do at the desk: enqueued or done, told in one sentence, written into the audit log."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import call_command

from instances.errors import OutOfReachError
from instances.models import ApiToken, AuditEntry, Bulk, Channel, Mute, Operation, Plan
from tests.desk import INSTANCE, PASSWORD, at_desk, audited, do, person, said
from tests.factories import World, health_of
from tests.fast.conftest import Message

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.filterwarnings("ignore:No directory at:UserWarning"),  # nobody collected static files here
]
Sent = Callable[[str], list[Message]]


def test_a_restart_is_enqueued_with_who_and_why(world: World, sent: Sent) -> None:
    response = do("operator", world.instance("c1"), "restart", reason="the customer called")
    operation = Operation.objects.get()
    assert (operation.requested_by, operation.reason) == ("admin:operator", "the customer called")
    assert [message.kwargs for message in sent("operations")] == [{"operation_id": str(operation.pk)}]
    assert said(response) == "The restart of c1 is queued."
    entry = audited("restart")
    assert (entry.surface, entry.actor, entry.address) == ("admin", "admin:operator", "127.0.0.1")
    assert (entry.target, entry.reason) == ("c1", "the customer called")


def test_what_interrupts_a_customer_needs_a_reason(world: World, sent: Sent) -> None:
    instance = world.instance("c1")
    for verb in ("restart", "update", "pause", "mute", "decommission"):
        assert "Reason: This field is required." in said(do("admin", instance, verb, lasts="2h"))
    assert not Operation.objects.exists() and not Mute.objects.exists()
    assert health_of(instance).status == "healthy"


def test_a_form_sent_twice_restarts_once(world: World, sent: Sent) -> None:
    instance, fields = world.instance("c1"), {"reason": "x", "request_id": "0" * 36}
    do("operator", instance, "restart", **fields)
    do("operator", instance, "restart", **fields)
    assert Operation.objects.count() == 1


@pytest.mark.parametrize(
    ("status", "ended"), [("succeeded", "it succeeded."), ("rolled_back", "it was rolled back.")]
)
def test_a_form_of_what_is_over_by_now_says_how_that_ended(
    world: World, sent: Sent, status: str, ended: str
) -> None:
    instance, fields = world.instance("c1"), {"reason": "x", "request_id": "0" * 36}
    do("operator", instance, "update", **fields)
    Operation.objects.update(status=status, finished_at=world.now)
    again = said(do("operator", instance, "update", **fields))
    assert again == f"The update of c1 was ordered with this form before: {ended}"
    assert len(sent("operations")) == 1


def test_a_busy_instance_is_refused_with_a_sentence(world: World, sent: Sent) -> None:
    instance = world.instance("c1")
    do("operator", instance, "restart", reason="first")
    assert "c1 is being changed" in said(do("operator", instance, "update", reason="second"))
    assert "being changed" in audited("update").outcome


def test_without_a_broker_nothing_is_left_queued(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise OutOfReachError("The broker can't be reached (DOCKMGR_BROKER_URL).")

    monkeypatch.setattr("tasks.operations.enqueue", refuse)
    assert "The broker can't be reached" in said(do("operator", world.instance("c1"), "restart", reason="x"))
    assert Operation.objects.get().finished_at is not None


def test_a_check_and_a_mute_are_of_that_instance(world: World, sent: Sent) -> None:
    instance = world.instance("c1")
    do("operator", instance, "check")
    assert [message.kwargs for message in sent("health")] == [{"customer_id": "c1"}]
    do("operator", instance, "mute", lasts="2h", reason="known")
    assert (Mute.objects.get().instance, Mute.objects.get().reason) == (instance, "known")


def test_decommissioning_wants_the_customer_id_typed(world: World, sent: Sent) -> None:
    instance = world.instance("c1")
    assert "type its customer id" in said(do("admin", instance, "decommission", reason="x", confirmed="c2"))
    do("admin", instance, "decommission", reason="left us", confirmed="c1", purge_data="on")
    operation = Operation.objects.get()
    assert (operation.kind, operation.params["purge_data"]) == ("decommission", True)


def test_a_secret_is_set_and_removed_and_never_shown(world: World) -> None:
    instance, client = world.instance("c1"), at_desk("admin")
    address = f"{INSTANCE}{instance.pk}/secrets/"
    client.post(address, {"name": "API_KEY", "value": "s3ntinel-new", "reason": "rotated"})
    instance.refresh_from_db()
    assert instance.env["API_KEY"] == "s3ntinel-new"
    assert "s3ntinel" not in client.get(f"{INSTANCE}{instance.pk}/change/").content.decode()
    assert "s3ntinel" not in str(list(AuditEntry.objects.values()))
    assert "malformed" in said(client.post(address, {"name": "no=name", "value": "x", "reason": "x"}))  # type: ignore[arg-type]
    client.post(address, {"name": "API_KEY", "value": "", "reason": "gone"})
    instance.refresh_from_db()
    assert instance.env == {}


def plan_fields(plan: Plan, **changes: Any) -> dict[str, Any]:
    given = {
        "name": plan.name, "image": plan.image, "cpus": plan.cpus, "memory": plan.memory,
        "container_port": 8080, "data_path": "/data", "stop_timeout": 10, "health_path": "/healthz",
        "health_expect": "auto", "start_grace": 60, "update_strategy": "recreate", "required_env": "API_KEY",
    }  # fmt: skip
    return {**given, **changes}


def test_a_plan_is_edited_under_the_rules_and_tells_what_drifts(world: World) -> None:
    world.instance("c1")
    own = world.instance("c2")
    own.image = "registry.example.com/own:1"
    own.save()
    client, address = at_desk("admin"), f"/admin/instances/plan/{world.plan.pk}/change/"
    refused = client.post(address, plan_fields(world.plan, image="not an image", cpus=0.5)).content.decode()
    assert "errorlist" in refused or "image reference" in refused
    world.plan.refresh_from_db()
    assert world.plan.cpus == 2
    done = client.post(
        address,
        plan_fields(
            world.plan,
            image="registry.example.com/agent:2",
            reason="new",
            log_alerts="- {match: panic, within: 1h}",
        ),
    )
    assert "1 instances run as the plan was before" in said(done)  # type: ignore[arg-type]
    [alert] = Plan.objects.get(pk=world.plan.pk).log_alerts
    assert (alert["match"], alert["within"], alert["more_than"]) == ("panic", 3600, 0)
    for wrong, why in (("- {match: '('}", "is no pattern that RE2 takes"), ("panic: 5", "Write a list")):
        assert why in client.post(address, plan_fields(world.plan, log_alerts=wrong)).content.decode()
    entry = audited("change plan")
    assert (entry.target, entry.reason) == ("pro", "new") and "image" in entry.outcome.lower()
    done = client.post(address, plan_fields(world.plan, image="registry.example.com/agent:2", memory="4g"))
    assert "2 instances run as the plan was before" in said(done)  # type: ignore[arg-type]
    world.plan.refresh_from_db()
    assert (world.plan.memory, world.plan.required_env) == (4 * 1024**3, ["API_KEY"])


def test_a_plans_instances_are_updated_by_one_order(world: World, sent: Sent) -> None:
    world.instance("c1")
    address = f"/admin/instances/plan/{world.plan.pk}/update/"
    response = at_desk("operator").post(address, {"reason": "new image"})
    bulk = Bulk.objects.get()
    assert response.headers["Location"] == f"/admin/instances/bulk/{bulk.pk}/change/"
    assert [message.kwargs for message in sent("operations")] == [{"bulk_id": str(bulk.pk), "turn": 0}]


def test_a_channels_url_is_set_and_never_shown(world: World) -> None:
    client = at_desk("admin")
    fields = {"name": "ops", "new_url": "json://127.0.0.1/s3ntinel", "min_level": "warning"}
    fields |= {"timezone": "UTC", "enabled": "on", "incidents": "on", "plans": "pro", "reason": "new"}
    client.post("/admin/instances/channel/add/", fields)
    channel = Channel.objects.get()
    assert (channel.url, channel.plans) == ("json://127.0.0.1/s3ntinel", ["pro"])
    page = f"/admin/instances/channel/{channel.pk}/change/"
    assert "s3ntinel" not in client.get(page).content.decode()
    client.post(page, {**fields, "new_url": "", "min_level": "critical"})
    channel.refresh_from_db()
    assert (channel.url, channel.min_level) == ("json://127.0.0.1/s3ntinel", "critical")
    assert (
        client.post("/admin/instances/channel/add/", {**fields, "name": "b", "new_url": ""}).status_code
        == 200
    )
    nothing = client.post(page, {**fields, "incidents": ""})
    assert "say incidents, operations or both" in nothing.content.decode()
    pager = {**fields, "name": "b", "new_url": f"pagerduty://{'a' * 32}@{'b' * 32}", "operations": "on"}
    assert (
        "keeps incidents of its own" in client.post("/admin/instances/channel/add/", pager).content.decode()
    )
    assert Channel.objects.count() == 1


def test_a_token_is_shown_once_and_revoked(world: World) -> None:
    client = at_desk("admin")
    fields = {"name": "billing", "scope": "read", "days": "30", "reason": "for billing"}
    page = client.post("/admin/instances/apitoken/add/", fields).content.decode()
    token = ApiToken.objects.get()
    assert token.prefix in page and "shown this one time" in page
    again = client.get(f"/admin/instances/apitoken/{token.pk}/change/").content.decode()
    assert page.partition(token.prefix)[2][:20] not in again
    client.post(f"/admin/instances/apitoken/{token.pk}/revoke/", {"reason": "leaked"})
    token.refresh_from_db()
    assert token.revoked_at is not None
    assert audited("revoke token").reason == "leaked"


class TestLogin:
    """Passwords can't be tried without end."""

    def log_in(self, client: Any, name: str, password: str) -> str:
        page = client.post("/admin/login/?next=/admin/", {"username": name, "password": password})
        return str(page.content.decode()) if page.status_code == 200 else "in"

    def test_failures_cost_a_pause_for_that_name_from_that_address_alone(
        self, client: Any, settings: Any
    ) -> None:
        settings.LOGIN_FAILURES_ALLOWED, settings.TRUSTED_PROXIES = 3, 1
        person("operator")
        person("viewer")
        client.defaults["HTTP_X_FORWARDED_FOR"] = "192.0.2.1"
        for _ in range(3):
            assert "correct" in self.log_in(client, "operator", "wrong")
        assert "Too many failed attempts. Wait 1" in self.log_in(client, "operator", PASSWORD)
        assert self.log_in(client, "viewer", PASSWORD) == "in"
        client.defaults["HTTP_X_FORWARDED_FOR"] = "192.0.2.2"
        assert self.log_in(client, "operator", PASSWORD) == "in"
        assert audited("login").actor == "admin:operator"

        client.defaults["HTTP_X_FORWARDED_FOR"] = "192.0.2.1"
        assert "Wait" in self.log_in(client, "operator", PASSWORD)
        with pytest.raises(SystemExit):
            call_command("unlock", "nobody")
        call_command("unlock", "operator")
        assert "correct" in self.log_in(client, "operator", "wrong")
        assert self.log_in(client, "operator", PASSWORD) == "in"

    def test_a_wrong_password_is_not_written_down(self, client: Any) -> None:
        self.log_in(client, "operator", "s3ntinel-password")
        assert "s3ntinel" not in str(list(AuditEntry.objects.values()))
