"""Questions the desk asks of workers, who alone look at Docker and the world outside."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest

from instances.admin import answers
from instances.errors import RequestError
from instances.lib.sizes import shown
from instances.models import AuditEntry, Channel, Plan
from tasks import inspection
from tasks.app import app
from tasks.broker import rpc
from tasks.broker.rpc import TaskResult
from tests.desk import at_desk
from tests.factories import World
from tests.fast.conftest import Run
from tests.fast.strangers import adopted

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.filterwarnings("ignore:No directory at:UserWarning"),  # nobody collected static files here
]
INSTANCE = "/admin/instances/instance/"


class TestAnswers:
    """Questions that only workers answer."""

    @pytest.fixture(autouse=True)
    def workers(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.outcome: TaskResult | None = None

        def commission(task: Any, _: uuid.UUID, /, **kwargs: Any) -> None:
            self.asked.append((task.name, kwargs))

        monkeypatch.setattr(answers, "submit", commission)
        monkeypatch.setattr(answers, "task_result", lambda _: self.outcome)

    def ask(self, role: str, instance: Any, what: str, **fields: str) -> Any:
        return at_desk(role).post(f"{INSTANCE}{instance.pk}/ask/{what}/", fields)

    def test_a_log_is_asked_for_and_fetched_when_it_is_there(self, world: World) -> None:
        instance = world.instance("c1")
        ticket = self.ask("operator", instance, "logs", lines="99999", since="").json()["ticket"]
        assert self.asked == [("dockmgr.log_view", {"customer_id": "c1", "lines": 10000, "since": None})]
        client, address = at_desk("operator"), f"{INSTANCE}answers/{ticket}/"
        assert client.get(address).json() == {"state": "waiting"}
        assert client.get(address + "log/").status_code == 404
        self.outcome = TaskResult({"customer_id": "c1", "lines": ["<b>", "two"]})
        assert client.get(address).json()["answer"]["lines"] == ["<b>", "two"]
        saved = client.get(address + "log/")
        assert saved.content == b"<b>\ntwo\n"
        assert saved.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert saved.headers["Content-Disposition"] == 'attachment; filename="c1.log"'

    def test_a_ticket_is_good_for_nobody_else(self, world: World) -> None:
        ticket = self.ask("operator", world.instance("c1"), "logs").json()["ticket"]
        assert at_desk("admin").get(f"{INSTANCE}answers/{ticket}/").status_code == 403

    def test_following_a_log_is_one_reading(self, world: World) -> None:
        instance = world.instance("c1")
        for _ in range(3):
            self.ask("operator", instance, "logs", since="2026-01-01T00:00:00Z")
        assert AuditEntry.objects.filter(action="read log").count() == 1

    def test_a_refusal_of_the_worker_is_told(self, world: World) -> None:
        ticket = self.ask("viewer", world.instance("c1"), "facts").json()["ticket"]
        self.outcome = TaskResult(error=RequestError("c1 has no container."))
        told = at_desk("viewer").get(f"{INSTANCE}answers/{ticket}/").json()
        assert told == {"state": "failed", "error": "c1 has no container."}

    def test_without_a_broker_the_page_is_told_at_once(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ticket = self.ask("viewer", world.instance("c1"), "facts").json()["ticket"]
        monkeypatch.setattr(answers, "submit", rpc.submit)
        monkeypatch.setattr(answers, "task_result", rpc.task_result)
        monkeypatch.setitem(app.conf, "broker_url", "redis+socket:///nowhere/redis.sock")
        told = self.ask("viewer", world.instance("c2"), "facts")
        assert (told.status_code, told.json()["state"]) == (503, "failed")
        fetched = at_desk("viewer").get(f"{INSTANCE}answers/{ticket}/")
        assert (fetched.status_code, fetched.json()["state"]) == (503, "failed")

    def test_hosts_and_channels_are_tested_by_workers(self, world: World) -> None:
        channel = Channel.objects.create(name="ops", url="json://127.0.0.1/x")
        client = at_desk("operator")
        client.post(f"/admin/instances/host/{world.host.pk}/test/")
        client.post(f"/admin/instances/channel/{channel.pk}/test/")
        assert [name for name, _ in self.asked] == ["dockmgr.test_host", "dockmgr.try_channel"]


class TestTasks:
    """What the workers answer."""

    def test_container_facts_hold_no_environment(self, world: World) -> None:
        world.instance("c1")
        facts = inspection.container_facts("c1")
        assert (facts["state"], facts["name"], facts["of_earlier_settings"]) == (
            "running",
            "dockmgr-c1",
            False,
        )
        assert facts["started"] == f"{world.now - timedelta(hours=1):%Y-%m-%d %H:%M:%S} UTC"
        assert facts["memory"] == shown(world.plan.memory)
        assert facts["CPUs"] == world.plan.cpus
        Plan.objects.update(memory=1024**3)
        assert inspection.container_facts("c1")["of_earlier_settings"] is True
        assert "s3ntinel" not in str(facts) and "API_KEY" not in str(facts)

    def test_a_container_without_limits_is_said_to_have_none(self, world: World) -> None:
        instance = world.instance("c1")
        world.engine.change(instance.container_id, nano_cpus=0, memory=0, pids_limit=None)
        facts = inspection.container_facts("c1")
        assert {facts[name] for name in ("CPUs", "memory", "processes_allowed")} == {"no limit"}

    def test_an_adopted_container_that_was_left_as_it_is_has_not_drifted(
        self, world: World, run: Run
    ) -> None:
        adopted(world, run)
        assert inspection.container_facts("c1")["of_earlier_settings"] is False

    def test_a_host_that_answers_and_one_that_does_not(self, world: World) -> None:
        assert inspection.test_host("local")["answers"] is True
        with pytest.raises(RequestError):
            inspection.test_host("nowhere")

    def test_a_channel_that_nobody_serves_fails_with_a_sentence(self, world: World) -> None:
        Channel.objects.create(name="ops", url="json://s3cret@127.0.0.1:1/x")
        with pytest.raises(RequestError) as refusal:
            inspection.try_channel("ops", "admin:x")
        assert "s3cret" not in str(refusal.value)
