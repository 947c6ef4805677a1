"""A customer's secret comes to light nowhere: not printed, logged, recorded, sent or raised."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core import serializers
from pytest_django.fixtures import Settings

from instances import lookup
from instances.errors import DockmgrError, PermanentError, TransientError
from instances.fleet import sweep
from instances.models import Health, HealthCheck, Operation, Plan, Sweep
from instances.operations import service
from instances.operations.requester import Requester
from tasks import checks, operations
from tests.factories import SECRET, World
from tests.fakes.outside import fails
from tests.fast.conftest import Message, Run
from tests.fast.inline import InlineExecutor

pytestmark = pytest.mark.django_db
PLAN_SECRET = "pl4n-wide/secret=="
NEW = ("provision", "--customer-id", "new", "--subdomain", "new.example.com", "--plan", "pro")


def shows(*texts: object) -> bool:
    """Whether a secret is in any of the texts, plain or as JSON writes it."""
    forms = [form for s in (SECRET, PLAN_SECRET) for form in (s, json.dumps(s)[1:-1], s.replace("/", "\\/"))]
    return any(form in str(text) for text in texts for form in forms)


def recorded() -> str:
    rows: list[Any] = [*Operation.objects.all(), *HealthCheck.objects.all(), *Health.objects.all()]
    return str(serializers.serialize("json", [*rows, *Sweep.objects.all()]))


@pytest.fixture(autouse=True)
def everything_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)


@pytest.fixture
def talkative(world: World) -> World:
    """Containers print their environment, and the engine repeats it in its refusals."""
    Plan.objects.filter(name="pro").update(env={"SHARED": PLAN_SECRET})
    world.plan.refresh_from_db()
    start = world.engine.start

    def start_and_print(container: str) -> None:
        start(container)
        world.engine.write_log(container, f"API_KEY={SECRET}\nshared {PLAN_SECRET}\n".encode())

    world.engine.start = start_and_print  # type: ignore[method-assign]
    world.instance()
    return world


def is_kept_secret(world: World, settings: Settings, caplog: pytest.LogCaptureFixture) -> bool:
    texts = [record.getMessage() + str(record.exc_text) for record in caplog.records]
    state = Path(settings.STATE_FILE)
    return not shows(recorded(), caplog.text, *texts, state.read_text() if state.exists() else "")


@pytest.mark.parametrize("as_json", [(), ("--json",)], ids=["text", "json"])
def test_a_failing_provisioning_shows_its_log_without_the_secret(
    talkative: World, run: Run, settings: Settings, caplog: pytest.LogCaptureFixture, as_json: tuple[str, ...]
) -> None:
    talkative.probe.answers[talkative.host.first_port + 1] = fails()
    ran = run(*NEW, "--env", f"API_KEY={SECRET}", *as_json)
    assert ran.code == 1
    assert "[redacted]" in ran.out
    assert not shows(ran.out, ran.err)
    assert is_kept_secret(talkative, settings, caplog)


@pytest.mark.parametrize(
    ("kind", "verb"), [(PermanentError, "stop"), (TransientError, "inspect"), (PermanentError, "start")]
)
def test_an_engine_that_repeats_a_secret_is_not_quoted(
    talkative: World,
    run: Run,
    settings: Settings,
    caplog: pytest.LogCaptureFixture,
    kind: type[DockmgrError],
    verb: str,
) -> None:
    for _ in range(4):
        talkative.engine.fail_next(verb, kind(f"invalid env API_KEY={SECRET} / {PLAN_SECRET}."))
    ran = run("restart", "--customer-id", "c1", "--json")
    assert ran.code == 1
    assert not shows(ran.out, ran.err)
    assert is_kept_secret(talkative, settings, caplog)


def test_an_engine_that_repeats_a_secret_to_a_check_is_not_quoted(
    talkative: World, run: Run, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    port = lookup.instance("c1").port or 0
    talkative.probe.answers[port] = fails()
    talkative.engine.fail_next("inspect", PermanentError(f"bad env {SECRET}"))
    ran = run("check_health", "--all", "--json")
    assert not shows(ran.out, ran.err)
    assert is_kept_secret(talkative, settings, caplog)


@pytest.mark.django_db(transaction=True)
def test_a_sweep_shows_no_secret(
    talkative: World,
    run: Run,
    settings: Settings,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sweep, "ThreadPoolExecutor", InlineExecutor)
    talkative.clock.coarse = 2.0
    talkative.engine.change("dockmgr-c1", state="exited")
    ran = run("daily_health", "--json")
    assert ran.document["restarted"] == ["c1"]
    assert not shows(ran.out, ran.err)
    assert is_kept_secret(talkative, settings, caplog)


def test_no_message_of_ours_holds_a_secret(
    talkative: World, run: Run, sent: Callable[[str], list[Message]]
) -> None:
    checks.sweep()
    run(*NEW, "--env", f"API_KEY={SECRET}", "--enqueue")
    Health.objects.filter(instance__customer_id="c1").update(status="unhealthy")
    operations.heal(lookup.instance("c1").pk)
    messages = sent("health") + sent("operations")
    assert len(messages) == 3
    assert not shows(*(message.everything for message in messages))


@pytest.mark.parametrize(
    "env", [{f"A {SECRET}": "x"}, {"OK": SECRET + "\0"}, {"OK": SECRET * 4000}, {"OK": [SECRET]}]
)
def test_a_refusal_shows_no_value(world: World, env: Any) -> None:
    with pytest.raises(DockmgrError) as refused:
        service.begin_provision(world.order(env=env), Requester("tests"), world.outside)
    assert not shows(refused.value, repr(refused.value))


def test_no_representation_shows_a_secret(talkative: World) -> None:
    instance = lookup.instance("c1")
    facts = talkative.engine.inspect("dockmgr-c1")
    order = talkative.order()
    things = (instance, instance.plan, instance.spec(), instance.plan.spec(), facts, order)
    assert not shows(*map(repr, things))
