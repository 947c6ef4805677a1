"""No row is refused for what a text from outside holds, whichever way it is written."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.apps import apps
from django.db import models

from instances.checks.record import record
from instances.lib.storable import MARK
from instances.models import Bulk, Incident, IncidentEvent, Operation, storable
from tests.factories import World, a_failure, health_of

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 1, tzinfo=UTC)
HOSTILE, KEPT = "a\0b\ud83dc", f"a{MARK}b{MARK}c"
DJANGOS = (models.CharField, models.TextField, models.JSONField)


def test_no_model_has_a_text_that_could_be_refused() -> None:
    own = apps.get_app_config("instances").get_models()
    fields = [field for model in own for field in model._meta.concrete_fields if isinstance(field, DJANGOS)]
    encrypted = {"instances.models.encrypted"}  # ASCII, whatever is inside
    assert {type(field).__module__ for field in fields} == {storable.__name__} | encrypted


def a_bulk() -> Bulk:
    return Bulk(verb="check", by=HOSTILE, reason=HOSTILE * 200, created_at=NOW, refused={HOSTILE: [HOSTILE]})


def test_a_row_that_is_saved_keeps_what_can_be_kept() -> None:
    row = a_bulk()
    row.save()
    row.refresh_from_db()
    assert (row.by, row.reason, row.refused) == (KEPT, (KEPT * 200)[:255], {KEPT: [KEPT]})


def test_so_does_one_of_many() -> None:
    row = a_bulk()
    Bulk.objects.bulk_create([row])
    Bulk.objects.filter(pk=row.pk).update(reason="", refused={})
    row.refused = {"c1": HOSTILE}
    Bulk.objects.bulk_update([row], ["reason", "refused"])
    row.refresh_from_db()
    assert (row.reason, row.refused) == ((KEPT * 200)[:255], {"c1": KEPT})


def test_so_does_what_is_updated_and_searched_for() -> None:
    a_bulk().save()
    assert Bulk.objects.filter(by=HOSTILE, reason__startswith="a").update(by=f"{HOSTILE}!") == 1
    assert Bulk.objects.get().by == f"{KEPT}!"


def test_what_a_check_saw_is_recorded(world: World) -> None:
    instance = world.instance()
    long = "a\0b" * 100
    seen = a_failure(world, instance, error=long, container_state=long, version=long)
    world.clock.advance(1)
    record([seen], world.now)
    health = health_of(instance)
    assert health.error == f"a{MARK}b" * 85
    assert (len(health.container_state), MARK in health.version) == (16, True)
    assert IncidentEvent.objects.filter(text__contains=MARK).exists()
    assert Incident.objects.get().message == health.error


def test_a_name_that_is_too_long_is_not_cut_to_another_one() -> None:
    assert Operation._meta.get_field("request_id").get_prep_value("a" * 999) == "a" * 999
