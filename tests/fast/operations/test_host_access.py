"""A container that reaches its host: adopted by an explicit word alone, shown for good, and no further."""

from __future__ import annotations

from typing import Any

import pytest

from instances import documents
from instances.models import AuditEntry, Instance, Plan
from instances.operations.validate import validate
from tests.factories import World
from tests.fast.conftest import Run
from tests.fast.strangers import NAME, adopted, existing, refused, words

pytestmark = pytest.mark.django_db
HOST: dict[str, Any] = {"PidMode": "host", "CapAdd": ["SYS_ADMIN"]}
ITEMS = ["the host's processes", "capability SYS_ADMIN"]


def test_it_is_adopted_by_an_explicit_word_alone_and_shown_for_good(world: World, run: Run) -> None:
    existing(world, **HOST)
    refused(
        run(*words(), "--json"),
        f"The container {NAME} reaches its host (the host's processes, capability SYS_ADMIN): whoever",
    )
    assert not Instance.objects.exists()
    ran = run(*words(), "--accept-host-access", "--json", "--as", "ada")
    found = ran.document["host_access"]
    assert (ran.code, found["items"], found["accepted_by"]) == (0, ITEMS, "cli:ada")
    assert found["accepted_at"].startswith(f"{world.now:%Y-%m-%d}")
    [note] = [n for n in validate(Instance.objects.get(), world.outside).notes if n.code == "host_access"]
    assert "capability SYS_ADMIN. Accepted by cli:ada at" in note.message
    assert AuditEntry.objects.filter(action="adopt", actor="cli:ada").exists()

    world.engine.lose(NAME)
    assert world.restart().status == "succeeded"
    assert documents.instance(Instance.objects.get())["host_access"] == found


def test_what_nobody_accepted_is_not_made(world: World, run: Run) -> None:
    instance = adopted(world, run)
    assert documents.instance(instance)["host_access"] is None
    document = instance.adopted
    instance.adopted = {**document, "HostConfig": {**document["HostConfig"], "Privileged": True}}
    instance.save()
    world.engine.lose(NAME)
    told = "would reach its host (privileged), which nobody accepted: it is not made."
    assert told in world.restart().error
    Instance.objects.update(
        host_access={"items": ["privileged"], "by": "me"}
    )  # a row says it: it is no proof
    assert told in world.restart().error


def test_a_plan_s_keys_are_its_word_and_shown_as_well(world: World) -> None:
    Plan.objects.update(options={"cap_add": ["SYS_ADMIN"]})
    done = world.provision("new")
    assert done.status == "succeeded", done.error
    shown = documents.instance(Instance.objects.get(customer_id="new"))["host_access"]
    assert shown == {"items": ["capability SYS_ADMIN"], "accepted_by": "plan pro", "accepted_at": None}
