"""Operations change an instance's health without losing what others wrote meanwhile."""

from __future__ import annotations

import pytest
from django.db.models import F
from msgspec.structs import replace

from instances.checks.transition import change
from instances.errors import BusyError
from instances.health.state import State, Status
from instances.models import Health, HealthCheck
from instances.operations import service
from tests.factories import ASKED, World, a_failure, health_of

pytestmark = pytest.mark.django_db


def test_a_transition_is_stored_and_raises_the_revision(world: World) -> None:
    instance = world.instance(version="1.2", http_status=200)
    state = change(instance.pk, world.now, lambda state: replace(state, failures=state.failures + 2))
    health = health_of(instance)
    assert (state.failures, health.failures, health.revision) == (2, 2, 1)
    assert (health.version, health.http_status) == ("1.2", 200)
    assert not HealthCheck.objects.exists()


def test_a_transition_with_a_check_records_what_was_seen(world: World) -> None:
    instance = world.instance(version="1.2")
    change(
        instance.pk, world.now, lambda state: state, a_failure(world, instance, "http_503", http_status=503)
    )
    assert (health_of(instance).reason, health_of(instance).version) == ("http_503", "1.2")
    assert HealthCheck.objects.get().http_status == 503


def test_a_row_changed_meanwhile_is_judged_again(world: World) -> None:
    instance = world.instance()
    seen: list[int] = []

    def transition(state: State) -> State:
        if not seen:
            Health.objects.update(revision=F("revision") + 1, failures=5)
        seen.append(state.failures)
        return replace(state, failures=state.failures + 1)

    change(instance.pk, world.now, transition)
    assert (seen, health_of(instance).failures) == ([0, 5], 6)


def test_a_row_that_never_keeps_still_is_refused_with_a_sentence(world: World) -> None:
    def transition(state: State) -> State:
        Health.objects.update(revision=F("revision") + 1)
        return replace(state, failures=9)

    instance = world.instance()
    with pytest.raises(BusyError, match="is being written all the time; try again"):
        change(instance.pk, world.now, transition)
    assert health_of(instance).failures == 0


def test_pausing_and_resuming_start_with_a_clean_sheet(world: World) -> None:
    instance = world.instance(
        status="failed", failures=6, restarts_used=3, down_since=world.now, next_check_at=world.now
    )
    healthy_at = health_of(instance).last_healthy_at
    assert service.pause("c1").health.status == Status.PAUSED
    assert health_of(instance).next_check_at is None
    assert service.resume("c1").health.status == Status.UNKNOWN
    health = health_of(instance)
    assert (health.failures, health.restarts_used, health.down_since) == (0, 0, None)
    assert health.last_healthy_at == healthy_at


def test_resuming_what_is_not_paused_changes_nothing(world: World) -> None:
    instance = world.instance(status="suspect", failures=2, down_since=world.now)
    service.resume("c1")
    assert (health_of(instance).status, health_of(instance).failures) == ("suspect", 2)


def test_a_busy_instance_is_neither_paused_nor_resumed(world: World) -> None:
    world.instance()
    service.begin_restart("c1", ASKED, world.outside)
    for verb in (service.pause, service.resume):
        with pytest.raises(BusyError, match="is being changed: restart asked for by "):
            verb("c1")


def test_a_paused_instance_is_not_active(world: World) -> None:
    instance = world.instance()
    service.pause("c1")
    assert instance not in list(type(instance).objects.active())
    assert instance in list(type(instance).objects.present())
