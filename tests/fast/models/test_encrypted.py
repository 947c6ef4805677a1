"""Secrets are encrypted at rest, and keys can be exchanged without losing any."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.db import connection
from django.db.models import Model
from pytest_django.fixtures import Settings

from instances.errors import MisplacedSecret, PermanentError, UnreadableSecret
from instances.management.commands import rotate_keys
from instances.models import Channel, Instance, Plan
from tests.factories import SECRET, World
from tests.fast.conftest import Run

pytestmark = pytest.mark.django_db


def raw(model: type[Model], column: str) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {column} FROM {model._meta.db_table}")
        return [row[0] for row in cursor.fetchall()]


@pytest.fixture
def secrets(world: World) -> None:
    world.instance()
    Plan.objects.filter(name="pro").update(env={"TOKEN": SECRET})
    Channel.objects.create(name="ops", url=f"json://:{SECRET}@example.com")


STORED = [(Instance, "env"), (Plan, "env"), (Channel, "url")]


@pytest.mark.parametrize(("model", "column"), STORED)
@pytest.mark.usefixtures("secrets")
def test_no_secret_is_in_the_clear_in_the_database(model: type[Model], column: str) -> None:
    values = raw(model, column)
    assert values
    assert not any(SECRET in value or "TOKEN" in value or "json:" in value for value in values)


@pytest.mark.usefixtures("secrets")
def test_models_read_back_what_was_stored() -> None:
    assert Instance.objects.get().env == {"API_KEY": SECRET}
    assert Plan.objects.get(name="pro").env == {"TOKEN": SECRET}
    assert Channel.objects.get().url == f"json://:{SECRET}@example.com"


@pytest.mark.usefixtures("secrets")
def test_the_first_key_encrypts_and_any_decrypts(settings: Settings) -> None:
    old, new = settings.ENCRYPTION_KEYS[0], Fernet.generate_key()
    settings.ENCRYPTION_KEYS = [new, old]
    Channel.objects.create(name="later", url="json://later")
    assert Channel.objects.get(name="ops").url.startswith("json://")
    settings.ENCRYPTION_KEYS = [new]
    assert Channel.objects.get(name="later").url == "json://later"


@pytest.mark.usefixtures("secrets")
def test_a_missing_key_is_one_sentence_without_a_secret(settings: Settings) -> None:
    settings.ENCRYPTION_KEYS = [Fernet.generate_key()]
    with pytest.raises(PermanentError) as refused:
        _ = Instance.objects.get().env
    keys = f"DOCKMGR_ENCRYPTION_KEYS of {socket.gethostname()}"  # the machine whose keys were forgotten
    assert str(refused.value) == f"The env of instance c1 can't be decrypted: {keys} lacks its key."
    assert refused.value.__cause__ is None


@pytest.mark.usefixtures("secrets")
def test_rotating_encrypts_everything_with_the_first_key(run: Run, settings: Settings) -> None:
    old, new = settings.ENCRYPTION_KEYS[0], Fernet.generate_key()
    settings.ENCRYPTION_KEYS = [new, old]
    ran = run("rotate_keys", "--json")
    expected = Instance.objects.count() + Plan.objects.count() + Channel.objects.count()
    assert (ran.code, ran.document) == (0, {"rotated": expected})
    settings.ENCRYPTION_KEYS = [new]
    assert Instance.objects.get().env == {"API_KEY": SECRET}
    assert Channel.objects.get().url.endswith("@example.com")
    assert [plan.env for plan in Plan.objects.filter(name="pro")] == [{"TOKEN": SECRET}]


@pytest.mark.usefixtures("secrets")
def test_rotating_without_the_old_key_changes_nothing(run: Run, settings: Settings) -> None:
    before = [raw(model, column) for model, column in STORED]
    settings.ENCRYPTION_KEYS = [Fernet.generate_key()]
    ran = run("rotate_keys", "--json")
    assert (ran.code, "lacks its key" in ran.err) == (1, True)
    assert [raw(model, column) for model, column in STORED] == before


@pytest.mark.usefixtures("secrets")
def test_a_row_deleted_while_its_secret_is_found_unreadable_is_named_no_more(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone_meanwhile(model: type[Model], key: int, fields: tuple[str, ...]) -> int:
        if model is not Channel:
            return 1
        Channel.objects.filter(pk=key).delete()
        raise UnreadableSecret

    monkeypatch.setattr(rotate_keys, "_rotate", gone_meanwhile)
    ran = run("rotate_keys", "--json")
    assert (ran.code, "ops" in ran.err) == (0, False)


@pytest.mark.parametrize("value", [{}, {"A": "ünïcode ✓"}, {"A": "x" * 32768}, {"A": "line\nline"}])
def test_any_environment_survives_the_round(world: World, value: dict[str, Any]) -> None:
    Plan.objects.filter(name="pro").update(env=value)
    assert Plan.objects.get(name="pro").env == value


def copied(source: Model, column: str, target: Model, into: str) -> None:
    """Copy a ciphertext as the database holds it."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {column} FROM {source._meta.db_table} WHERE id = %s", [source.pk])
        token = cursor.fetchone()[0]
        cursor.execute(f"UPDATE {target._meta.db_table} SET {into} = %s WHERE id = %s", [token, target.pk])


def test_a_value_opens_in_its_own_row_and_column_alone(world: World, run: Run) -> None:
    one, two = world.instance("c1"), world.instance("c2")
    channel = Channel.objects.create(name="ops", url="json://here")
    for source, column, target, into in (
        (one, "env", two, "env"),
        (one, "env", one, "adopted"),
        (channel, "url", two, "adopted"),
    ):
        copied(source, column, target, into)
        with pytest.raises(MisplacedSecret, match="moved here from another place"):
            _ = getattr(type(target).objects.get(pk=target.pk), into)
    assert Instance.objects.get(customer_id="c1").env == {"API_KEY": SECRET}


def test_a_value_from_before_is_read_and_bound_by_the_next_writing(world: World, run: Run) -> None:
    one, two = world.instance("c1"), world.instance("c2")
    Instance.objects.update(env={"API_KEY": SECRET})  # which knows no row
    assert not any(token.startswith("bound:") for token in raw(Instance, "env"))
    one = Instance.objects.get(customer_id="c1")
    assert one.env == {"API_KEY": SECRET}
    one.save()
    assert sorted(token.startswith("bound:") for token in raw(Instance, "env")) == [False, True]
    assert run("rotate_keys").code == 0
    assert all(token.startswith("bound:") for token in raw(Instance, "env"))
    copied(one, "env", two, "env")
    with pytest.raises(MisplacedSecret):
        _ = Instance.objects.get(customer_id="c2").env


def test_what_a_worker_signed_can_not_be_said_by_a_value_from_before(world: World) -> None:
    one = world.instance("c1")
    Instance.objects.update(env={"id": "evil", "ref": "evil", "by": "me"})
    copied(one, "env", one, "approved_image")
    with pytest.raises(PermanentError):
        _ = Instance.objects.get().approved_image
