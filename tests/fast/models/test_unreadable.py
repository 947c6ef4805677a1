"""A row whose secret can't be decrypted costs its own customer what needs it, and nobody more."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from django.db import connection
from django.db.models import Model
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import Settings

from instances.checks.due import claim_due
from instances.checks.record import record
from instances.errors import PermanentError, UnreadableSecret
from instances.incidents import documents
from instances.models import Channel, Incident, Instance, Operation, Plan
from instances.operations import service
from tasks import checks
from tests.factories import ASKED, SECRET, World, a_check, health_of
from tests.fakes.outside import fails
from tests.fast.conftest import Run

pytestmark = pytest.mark.django_db
WHY = f"The env of instance bad {UnreadableSecret.why}"


def spoil(row: Model, column: str) -> str:
    """Encrypt a column of a row with a key nobody has."""
    token = Fernet(Fernet.generate_key()).encrypt(b'{"API_KEY": "lost"}').decode()
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {row._meta.db_table} SET {column} = %s WHERE id = %s", [token, row.pk])
    return token


def stored(row: Model, column: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {column} FROM {row._meta.db_table} WHERE id = %s", [row.pk])
        return str(cursor.fetchone()[0])


@pytest.fixture
def bad(world: World) -> Instance:
    """One of three instances, whose environment can't be read."""
    world.instance("a1")
    bad = world.instance("bad")
    world.instance("z1")
    spoil(bad, "env")
    return bad


@pytest.mark.django_db(transaction=True)
def test_it_is_healed_as_its_neighbours_while_its_container_is_there(
    bad: Instance, world: World, run: Run
) -> None:
    for name in ("dockmgr-a1", "dockmgr-bad"):
        world.engine.change(name, state="exited")
    ran = run("daily_health", "--json")
    assert (ran.code, ran.document["healthy"], sorted(ran.document["restarted"])) == (0, 3, ["a1", "bad"])
    assert health_of(bad).status == "healthy"
    assert run("check_health", "--all").code == 0


def test_its_own_checks_are_recorded_whatever_its_container_calls_its_version(
    bad: Instance, world: World
) -> None:
    instances = list(Instance.objects.order_by("customer_id"))
    seen = [a_check(world, instance, version=f"v-{SECRET[:6]}") for instance in instances]
    recorded, _ = record(seen, world.now)
    assert all(result.verdict for result in recorded)
    assert health_of(bad).version == ""


def test_what_needs_its_secrets_fails_with_one_sentence(bad: Instance, world: World) -> None:
    world.engine.lose("dockmgr-bad")
    done = service.run_to_end(service.begin_restart("bad", ASKED, world.outside).pk, world.outside)
    assert (done.status, done.error) == ("failed", WHY)
    assert not Operation.objects.filter(finished_at=None).exists()


def test_nothing_is_told_where_nobody_knows_what_is_secret(bad: Instance, world: World) -> None:
    world.engine.fail_next("start", PermanentError(f"The engine says {SECRET}."))
    done = service.run_to_end(service.begin_restart("bad", ASKED, world.outside).pk, world.outside)
    assert (done.status, done.error) == ("failed", WHY)
    assert SECRET not in str(done.steps)


@pytest.mark.parametrize("words", [("validate",), ("logs",), ("update",)])
def test_a_command_about_it_answers_with_one_sentence(
    bad: Instance, run: Run, words: tuple[str, ...]
) -> None:
    ran = run(*words, "--customer-id", "bad")
    assert ran.code == 1
    assert WHY in ran.out + ran.err
    assert "Traceback" not in ran.out + ran.err


def test_it_can_be_removed(bad: Instance, world: World) -> None:
    assert world.decommission("bad").status == "succeeded"


def test_an_adopted_one_whose_description_cannot_be_read_is_not_stopped(bad: Instance, world: World) -> None:
    Instance.objects.filter(pk=bad.pk).update(container="dockmgr-bad")
    spoil(bad, "adopted")
    done = service.run_to_end(service.begin_restart("bad", ASKED, world.outside).pk, world.outside)
    assert (done.status, done.error, world.engine.stops) == ("failed", WHY, {})
    assert world.decommission("bad").status == "succeeded"


def test_lists_show_it_like_any_other(bad: Instance, world: World, run: Run) -> None:
    world.incident(bad)
    assert len(run("instances", "--json").document) == 3
    assert len(documents.incidents(Incident.objects.all(), world.now)) == 1
    assert run("incidents").code == 0


def test_sweeps_fetch_no_secrets(world: World, sent: object) -> None:
    world.instance(next_check_at=world.now)
    with CaptureQueriesContext(connection) as queries:
        assert claim_due(world.now)
        checks.sweep()
    asked = [query["sql"] for query in queries if query["sql"].startswith("SELECT")]
    assert asked
    assert not [sql for sql in asked if '"env"' in sql or '"adopted"' in sql]


def test_a_row_saved_for_something_else_keeps_its_secret_as_it_is(bad: Instance, world: World) -> None:
    plan = Plan.objects.get(pk=world.plan.pk)
    before = (stored(bad, "env"), stored(plan, "env"))
    for row in (Instance.objects.get(pk=bad.pk), plan):
        row.save()
    assert (stored(bad, "env"), stored(plan, "env")) == before


def test_rotating_goes_past_it_and_names_it(bad: Instance, run: Run, settings: Settings) -> None:
    Channel.objects.create(name="ops", url="json://example.com")
    channel = Channel.objects.create(name="lost", url="json://example.com")
    tokens = [spoil(bad, "env"), spoil(channel, "url")]
    settings.ENCRYPTION_KEYS = [new := Fernet.generate_key(), *settings.ENCRYPTION_KEYS]
    ran = run("rotate_keys", "--json")
    assert (ran.code, ran.document["unreadable"]) == (1, ["channel lost", "instance bad"])
    assert ran.document["rotated"] == Plan.objects.count() + 3
    assert "channel lost, instance bad" in ran.err
    settings.ENCRYPTION_KEYS = [new]
    assert {i.customer_id for i in Instance.objects.exclude(pk=bad.pk) if i.env == {"API_KEY": SECRET}} == {
        "a1", "z1",
    }  # fmt: skip
    assert Channel.objects.get(name="ops").url == "json://example.com"
    assert [stored(bad, "env"), stored(channel, "url")] == tokens


def test_a_plan_and_a_channel_that_cannot_be_read_can_be_set_anew(
    world: World, run: Run, tmp_path: Path
) -> None:
    channel = Channel.objects.create(name="ops", url="json://example.com")
    spoil(channel, "url")
    spoil(world.plan, "env")
    file = tmp_path / "fleet.yaml"
    file.write_text(
        "plans: [{name: pro, env: {A: '1'}}]\nchannels: [{name: ops, url: 'json://new.example.com'}]\n"
    )
    assert run("apply", str(file)).code == 0
    assert Plan.objects.get(pk=world.plan.pk).env == {"A": "1"}
    assert Channel.objects.get().url == "json://new.example.com"


OLD, NEW = Fernet.generate_key(), Fernet.generate_key()
# As docs/settings.md has them: while processes restart one by one, two neighbours are in force at once.
STAGES = ([OLD], [OLD, NEW], [NEW, OLD], [NEW])


@pytest.mark.parametrize("now", range(3))
def test_each_half_of_the_processes_reads_what_the_other_wrote_while_keys_change(
    world: World, settings: Settings, now: int
) -> None:
    plan = world.plan
    for writes, reads in ((STAGES[now], STAGES[now + 1]), (STAGES[now + 1], STAGES[now])):
        settings.ENCRYPTION_KEYS = writes
        Plan.objects.filter(pk=plan.pk).update(env={"A": "1"})
        settings.ENCRYPTION_KEYS = reads
        assert Plan.objects.get(pk=plan.pk).env == {"A": "1"}


def test_failing_beside_it_costs_nobody_an_incident(bad: Instance, world: World, run: Run) -> None:
    world.probe.answers[bad.port or 0] = fails()
    assert run("check_health", "--all", "--json").document["unhealthy"] == 1
    assert Incident.objects.count() == 1
