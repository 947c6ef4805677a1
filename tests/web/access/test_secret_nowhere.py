"""Secrets that came in by every way, and a day's work on them: they are seen in no place afterwards."""

from __future__ import annotations

import base64
import html
import json
import logging
from collections.abc import Callable, Iterator
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from django.apps import apps
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from pytest_django.fixtures import Settings

from instances.access.audit import Author, audit
from instances.alerts.outbox import deliver
from instances.errors import DockmgrError, PermanentError, TransientError
from instances.fleet import rollout, sweep
from instances.health.response import Expect, judge_response
from instances.models import Channel, Instance, Mute, Operation, Plan
from instances.observability import exposition, readiness, views
from instances.operations import service
from instances.operations.requester import Requester
from tasks import checks, operations
from tasks.app import app
from tests.desk import PASSWORD, at_desk
from tests.factories import World
from tests.fakes.outside import fails
from tests.fast.conftest import Run
from tests.fast.inline import InlineExecutor
from tests.fast.telling import a_channel
from tests.fast.updates import publish
from tests.web.callers import OVER_HTTP, Caller, Workers
from tests.web.secret_search import Seen, listening, look_everywhere, models_without_table, recorded

pytestmark = OVER_HTTP
ENV = 'Wq7-lamp/river+88"é'
SHARED = "Shr-9 plan=wide/value"
FORM = "Frm-Rr8-cobalt/55&x"
IN_URL = "Chn-Tz5-willow-93"
LOGIN = "Pwd-Of-lantern-4-vault"
GUESS = "Gss-Not-the-password-6"
SECRETS = (ENV, SHARED, FORM, IN_URL, LOGIN, GUESS, PASSWORD)
FLEET = f"""
plans:
  - {{name: filed, image: "registry.example.com/agent:1.0", env: {{FILED: {json.dumps(SHARED)}}}}}
channels:
  - {{name: filed, url: "json://user:{IN_URL}@127.0.0.1:9/{IN_URL}", min_level: info}}
"""
NEW = ("provision", "--plan", "pro", "--subdomain")
COMMANDS: tuple[tuple[str, ...], ...] = (
    ("check_health", "--all"), ("check_health", "--customer-id", "c1"), ("daily_health",),
    ("logs", "--customer-id", "c1"), ("logs", "--customer-id", "c1", "--timestamps"),
    ("validate", "--customer-id", "c1"), ("restart", "--customer-id", "c1"),
    ("update", "--customer-id", "c1"), ("update", "--all"), ("instances",), ("operations",),
    ("incidents", "--events"), ("uptime", "--customer-id", "c1"), ("tokens",), ("test_channel", "filed"),
    ("mute", "--customer-id", "c1", "--for", "1h"), ("unmute", "--customer-id", "c1"),
    ("pause", "--customer-id", "c1"), ("resume", "--customer-id", "c1"), ("test_deploy", "--plan", "pro"),
    ("rotate_keys",), ("restart", "--customer-id", "byfile", "--enqueue"),
    ("decommission", "--customer-id", "byfile", "--purge-data"),
)  # fmt: skip


class Day:
    """A fleet that talks about its secrets, and everything that was seen of it."""

    def __init__(self, world: World, run: Run, caller: Caller, workers: Workers, folder: Path) -> None:
        self.world, self.caller, self.workers, self.folder = world, caller, workers, folder
        self.seen, self.desk = Seen(), at_desk("admin")
        self._run, self.tokens = run, [caller.text]
        self.state = Path(settings.STATE_FILE)

    def run(self, *words: str) -> None:
        for ending in ((), ("--json",)):
            ran = self._run(*words, *ending)
            self.seen.add(f"command {words[0]}", ran.out, ran.err)

    def post(self, address: str, **fields: Any) -> str:
        page = self.desk.post(f"/admin/{address}", {"reason": "because", **fields}, follow=True)
        assert page.status_code == 200, address
        return page.content.decode()

    def raised(self, error: BaseException) -> None:
        self.seen.add(
            "exceptions",
            error,
            repr(error),
            error.__cause__,
            error.__notes__ if hasattr(error, "__notes__") else "",
        )

    def come_in(self) -> None:
        """By every way in which a secret can be given."""
        file = self.folder / "own.env"
        file.write_text(f"FILED={ENV}\n")
        fleet = self.folder / "fleet.yaml"
        fleet.write_text(FLEET)
        self.run("apply", str(fleet))
        self.run(*NEW, "c1.example.com", "--customer-id", "c1", "--env", f"API_KEY={ENV}")
        self.run(*NEW, "byfile.example.com", "--customer-id", "byfile", "--env-file", str(file))
        order = {"subdomain": "bytask.example.com", "plan": "pro", "env": {"API_KEY": ENV}}
        self.seen.add("results", operations.provision.apply(kwargs={"customer_id": "bytask", **order}).get())
        body = {**order, "customer_id": "byapi", "subdomain": "byapi.example.com"}
        self.seen.add("API answers", self.caller.post("/instances", body).text)
        self.workers.work()
        c1, pro = Instance.objects.get(customer_id="c1").pk, self.world.plan.pk
        page = self.post(f"instances/instance/{c1}/secrets/", name="MORE", value=FORM)
        page += self.post(f"instances/plan/{pro}/secrets/", name="SHARED", value=SHARED)
        publish(self.world)
        self.run("update", "--customer-id", "c1")  # only now its container has the new values
        page += self.post("instances/channel/add/", name="desk", new_url=f"json://127.0.0.1:9/{IN_URL}",
                          min_level="info", timezone="UTC", enabled="on", incidents="on")  # fmt: skip
        page += self.post("auth/user/add/", username="new", password1=LOGIN, password2=LOGIN,
                          usable_password="true")  # fmt: skip
        page += Client().post("/admin/login/", {"username": "new", "password": GUESS}).content.decode()
        self.seen.add("pages after forms", page)
        self.tokens.append(
            json.loads(self._run("create_token", "more", "--scope", "read", "--json").out)["token"]
        )

    def fail(self, verb: str, error: DockmgrError, tries: int, *words: str) -> None:
        """A command whose every try fails, as text and as JSON."""
        failed = Operation.objects.filter(status="failed")
        before = failed.count()
        for _ in range(2 * tries):
            self.world.engine.fail_next(verb, error)
        self.run(*words)
        assert failed.count() == before + 2

    def go_wrong(self) -> None:
        """What fails quotes what it was given."""
        quoted = f"invalid env API_KEY={ENV} and {SHARED}"
        c1 = ("--customer-id", "c1")
        self.fail("stop", PermanentError(quoted), 1, "restart", *c1)
        self.fail("stop", TransientError(quoted), 4, "restart", *c1)
        self.fail("stop", PermanentError(f"invalid env MORE={FORM}"), 1, "restart", *c1)
        bad = (*NEW, "bad.example.com", "--customer-id", "bad", "--env", f"API_KEY={ENV}")
        self.fail("create", PermanentError(quoted), 1, *bad)
        self.world.engine.fail_next("pull", PermanentError(quoted))  # the next update meets it
        unwell = judge_response(
            200, json.dumps({"ok": False, "error": ENV, "status": FORM}).encode(), Expect.AUTO
        )
        self.world.probe.answers[Instance.objects.get(customer_id="bytask").port or 0] = fails(unwell.reason)
        for _ in range(4):
            self.run("check_health", "--all")
            self.world.clock.advance(60)
        for wrong in ({ENV: "x"}, {"OK": ENV + "\0"}, {"OK": [ENV]}):
            with pytest.raises(DockmgrError) as refused:
                service.begin_provision(self.world.order(env=wrong), Requester("tests"), self.world.outside)
            self.raised(refused.value)
            answer = self.caller.post("/instances", {"customer_id": "x1", "env": wrong, ENV: ENV})
            self.seen.add("API answers", answer.text)
        self._fail_defectively()

    def _fail_defectively(self) -> None:
        def defect(_container: str) -> None:
            raise ValueError(f"cannot parse {ENV} {SHARED}")

        engine: Any = self.world.engine
        start, engine.start = engine.start, defect
        self.run("restart", "--customer-id", "c1")
        answer = self.caller.post("/instances/byapi/restart", {"reason": "odd"})
        self.seen.add("API answers", answer.text)
        self.workers.work()
        engine.start = start

    def go_on(self) -> None:
        """A day's work with what is there."""
        for words in COMMANDS:
            self.run(*words)
        checks.sweep()
        self.workers.work()
        keys = list(Instance.objects.present().values_list("pk", flat=True))
        for verb in ("check", "restart", "update", "pause"):
            self.post("instances/instance/", action=f"{verb}_selected", _selected_action=keys, confirmed="1")
            self.workers.work()
        for _ in range(3):
            self.world.clock.advance(120)
            deliver(self.world.clock)
        for what in ("facts", "validation", "logs"):
            asked = self.desk.post(f"/admin/instances/instance/{keys[0]}/ask/{what}/", {"lines": "50"})
            self.workers.work()
            address = f"/admin/instances/instance/answers/{asked.json()['ticket']}/"
            self.seen.add(
                "answers at the desk", *(self.desk.get(address + end).content for end in ("", "log/"))
            )


@pytest.fixture
def day(
    world: World, run: Run, caller: Caller, workers: Workers, tmp_path: Path, settings: Settings,
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
) -> Iterator[Day]:  # fmt: skip
    """A day that has not begun: everything is listened to."""
    settings.HOLD = 0
    world.clock.coarse = 10
    for threaded in (sweep, rollout):
        monkeypatch.setattr(threaded, "ThreadPoolExecutor", InlineExecutor)
    for asked in (exposition, readiness):
        monkeypatch.setattr(asked, "queue_lengths", lambda *_, **__: {"health": 0})
    monkeypatch.setattr(views, "METRICS", exposition.Metrics(world.clock.now, fresh_for=0))
    groups: Any = import_module("instances.migrations.0005_permissions_and_groups")
    groups.make_groups(apps, None)  # an earlier test may have emptied the tables
    day = Day(world, run, caller, workers, tmp_path)
    start = world.engine.start

    def start_and_talk(container: str) -> None:
        start(container)
        facts = world.engine.inspect(container)
        env = facts.env if facts else {}
        told = "".join(f"{name}={value}\nsays {value}\n" for name, value in env.items())
        world.engine.write_log(container, told.encode())

    world.engine.start = start_and_talk  # type: ignore[method-assign]
    workers._take = recorded(day.seen, "messages", workers._take)
    monkeypatch.setattr(app.backend, "store_result", recorded(day.seen, "results", app.backend.store_result))
    monkeypatch.setattr(logging, "raiseExceptions", False)  # for handlers whose stream ended with a test
    for name in (None, "instances", "tasks", "dockmgr", "celery"):
        caplog.set_level(logging.DEBUG, logger=name)
    handler = listening(day.seen)
    logging.getLogger().addHandler(handler)
    yield day
    logging.getLogger().removeHandler(handler)


@pytest.mark.django_db(transaction=True)
def test_a_days_work_shows_no_secret_anywhere(day: Day) -> None:
    day.come_in()
    day.go_wrong()
    day.go_on()
    look_everywhere(day.seen, day.desk, day.caller)
    assert len(day.seen.texts) > 100 and len(day.seen.texts["log records"]) > 100
    assert models_without_table() == set()
    for place in ("answers at the desk", "command logs"):
        assert "MORE=[redacted]" in "".join(day.seen.texts[place]), place
    assert Operation.objects.filter(status="failed").count() > 5
    stored = {channel.url for channel in Channel.objects.all()}
    assert sum(IN_URL in url for url in stored) == 2 and Plan.objects.get(name="pro").env["SHARED"] == SHARED
    assert User.objects.get(username="new").check_password(LOGIN)
    assert day.seen.leaks([*SECRETS, *day.tokens]) == {}


def plants(day: Day) -> dict[str, Callable[[str], object]]:
    """A way to bring a text to each place."""
    world, now, session = day.world, day.world.now, day.desk.session

    def in_session(text: str) -> None:
        session["odd"] = text
        session.save()

    def an_operation(text: str) -> None:
        Operation.objects.create(
            kind="restart", customer_id="c1", status="failed", requested_by="x", reason=text,
            created_at=now, finished_at=now, lease_expires_at=now,
        )  # fmt: skip
        day.run("operations")

    channel = a_channel(url="json://127.0.0.1:9/x")
    check: Any = checks.check_health
    return {
        "page /admin/instances/operation/": an_operation,
        "API /operations": an_operation,
        "command operations": an_operation,
        "page /admin/instances/auditentry/": lambda text: audit(
            Author("api", "x", reason=text), "x", "c1", "x", now
        ),
        "table instances_notification": lambda text: channel.notifications.create(
            created_at=now, payload={"text": text}
        ),
        "page /admin/instances/mute/": lambda text: Mute.objects.create(
            instance=Instance.objects.get(), starts_at=now, until=now + timedelta(days=1), by="x", reason=text
        ),
        "API /instances/c1/logs": lambda text: world.engine.write_log("dockmgr-c1", text.encode()),
        "/metrics": lambda text: Plan.objects.filter(name="pro").update(name=text),
        "messages": lambda text: check.apply_async(kwargs={"customer_id": text}),
        "results": lambda text: app.backend.store_result("odd", text, "SUCCESS"),
        "exceptions": lambda text: day.raised(ValueError(text)),
        "log records": lambda text: logging.getLogger("instances.odd").debug("It is %s", text),
        "JSON log": lambda text: logging.getLogger("instances.odd").debug("It is %s", text),
        "state file": Path(day.state).write_text,
        "sessions": in_session,
    }


@pytest.mark.django_db(transaction=True)
def test_what_is_planted_in_a_place_is_found_there(day: Day) -> None:
    day.world.instance("c1")
    planted = {}
    for number, (place, plant) in enumerate(plants(day).items()):
        planted[place] = f"{ENV[:-1]} number {number}."
        plant(planted[place])
    day.workers.work()
    look_everywhere(day.seen, day.desk, day.caller, tuple(planted))
    for place, text in planted.items():
        assert any(found.startswith(place) for found in day.seen.leaks([text])), place


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize(
    "wrapped",
    [
        str, repr, json.dumps, html.escape, quote, quote_plus,
        lambda text: quote(text, safe=""),
        lambda text: json.dumps(json.dumps({"env": text})),
        lambda text: json.dumps(text, ensure_ascii=False),
        lambda text: base64.b64encode(f"{text}".encode()).decode(),
        lambda text: base64.b64encode(f"a{text}b".encode()).decode(),
        lambda text: base64.b64encode(json.dumps({"env": text}).encode()).decode(),
    ],
)  # fmt: skip
def test_a_secret_is_found_in_every_wrapping(secret: str, wrapped: Callable[[str], str]) -> None:
    seen = Seen()
    seen.add("here", f"before {wrapped(secret)} after")
    assert list(seen.leaks([secret])) == ["here"]
