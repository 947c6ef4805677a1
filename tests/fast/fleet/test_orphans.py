"""After an old backup of the database was restored: what it does not know is listed, and can be adopted."""

from __future__ import annotations

import pytest

from instances.models import Instance
from tests.factories import World
from tests.fast.conftest import Run

pytestmark = pytest.mark.django_db


def forget(instance: Instance) -> None:
    """The database is that of a day on which the instance did not exist."""
    instance.ports.all().delete()
    instance.delete()


def test_what_a_restored_database_does_not_know_is_listed_and_adopted(world: World, run: Run) -> None:
    world.instance("known")
    assert run("orphans", "--json").document == []
    forget(world.instance("newer"))
    ran = run("orphans", "--json")
    assert [(row["kind"], row["name"], row["customer_id"]) for row in ran.document] == [
        ("container", "dockmgr-newer", "newer"),
        ("volume", "dockmgr-newer-data", "newer"),
    ]
    assert "dockmgr-newer-data" in run("orphans", "--host", "local").out
    words = ("adopt", "--subdomain", "newer.example.com", "--container", "dockmgr-newer")
    assert run(*words, "--customer-id", "other").code == 2
    assert run(*words, "--customer-id", "newer").code == 0
    assert run("orphans", "--json").document == []
    assert run("daily_health").code == 0
    assert world.engine.containers == ["dockmgr-known", "dockmgr-newer"]


def test_an_engine_out_of_reach_is_said_to_be(world: World, run: Run) -> None:
    world.engine.unreachable = True
    ran = run("orphans")
    assert (ran.code, ran.err.count("\n")) == (3, 1)
    assert run("orphans", "--host", "nowhere").code == 2
