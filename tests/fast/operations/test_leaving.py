"""A removal that is half done is not healed back, and what is in use is removed later."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace

from instances import documents
from instances.checks.record import record
from instances.containers.spec import ContainerSpec, labels_for
from instances.errors import DockmgrError, PermanentError, RequestError, TransientError
from instances.fleet.cleanup import purge_pending
from instances.fleet.sweep import sweep_here
from instances.models import Host, Incident, Instance, Operation, PendingPurge
from instances.operations import service
from instances.operations.procedures import restart
from instances.operations.steps.data import BEING_REMOVED
from tasks import maintenance
from tests.factories import ASKED, IMAGE, World, a_failure, health_of

pytestmark = pytest.mark.django_db
VOLUME = "dockmgr-c1-data"
UNREACHABLE = "The Docker Engine is out of reach: it did not answer in time."


def a_backup(world: World, name: str = "nightly-backup") -> None:
    """Somebody else's container that mounts the data of c1."""
    world.engine.create(ContainerSpec(name, IMAGE, {}, {}, volumes={VOLUME: "/backup"}, container_port=1))


def waiting(world: World) -> None:
    """The customer c1 left with all data while a backup used it, which is over by now."""
    world.engine.create_volume(VOLUME, labels_for("c1", "pro"))
    PendingPurge.objects.create(host=world.host, volume=VOLUME, customer_id="c1", asked_at=world.now)


def half_removed(world: World) -> Instance:
    """A customer whose removal failed when the container was already stopped."""
    instance = world.instance()
    world.engine.fail_next("remove", PermanentError("The engine refuses."))
    assert world.decommission().status == "failed"
    instance.refresh_from_db()
    return instance


def test_data_that_is_in_use_ends_the_removal_well_and_goes_once_nobody_uses_it(world: World) -> None:
    world.instance()
    a_backup(world)
    done = world.decommission(purge_data=True)
    assert done.status == "succeeded"
    assert done.steps[-1]["detail"] == (
        f"{VOLUME} is in use by nightly-backup; it is removed with all data once that is over"
    )
    assert world.engine.containers == ["nightly-backup"]
    maintenance.tidy_up()
    assert PendingPurge.objects.get().holders == "nightly-backup"
    assert PendingPurge.objects.get().tried_at == world.now
    assert VOLUME in world.engine.volumes
    world.engine.lose("nightly-backup")
    maintenance.tidy_up()
    assert world.engine.volumes == {}
    assert not PendingPurge.objects.exists()


@pytest.mark.parametrize("kind", [PermanentError, TransientError])
def test_data_that_can_t_be_removed_is_tried_again_later(world: World, kind: type[DockmgrError]) -> None:
    """Whoever left has left, as when somebody uses the data: nobody has to ask for it again."""
    world.instance()
    told = "The engine did not remove the volume: read-only file system."
    world.engine.fail_next("remove_volume", kind(told))
    done = world.decommission(purge_data=True)
    assert done.status == "succeeded"
    assert done.steps[-1]["detail"] == f"{VOLUME} could not be removed, which is tried again: {told}"
    assert PendingPurge.objects.get().holders == told
    assert purge_pending(world.outside) == [VOLUME]


def test_a_host_that_does_not_answer_is_asked_once_whatever_waits_there(world: World) -> None:
    away = Host.objects.create(name="away", docker_url="unix:///fake/away.sock")
    engine = world.outside.hosts[away.engine_url]
    engine.unreachable = True
    volumes = [f"dockmgr-c{number}-data" for number in range(3)]
    PendingPurge.objects.bulk_create(
        PendingPurge(host=away, volume=volume, customer_id="c1", asked_at=world.now) for volume in volumes
    )
    asked = engine.times_asked
    assert purge_pending(world.outside) == []
    assert engine.times_asked == asked + 1
    assert {row.holders for row in PendingPurge.objects.all()} == {UNREACHABLE}
    engine.unreachable = False
    purge_pending(world.outside)
    assert not PendingPurge.objects.exists()


def test_a_pending_purge_takes_no_volume_that_is_another_ones_by_now(world: World) -> None:
    waiting(world)
    world.engine.volumes[VOLUME] = {"com.docker.compose.project": "shop"}
    assert purge_pending(world.outside) == []
    assert VOLUME in world.engine.volumes
    assert not PendingPurge.objects.exists()


def test_a_pending_purge_waits_while_the_customer_is_here_again(world: World) -> None:
    waiting(world)
    back = world.instance()
    world.engine.lose(back.container_name)
    assert purge_pending(world.outside) == []
    assert PendingPurge.objects.get().holders == "the customer c1, who is back"
    assert VOLUME in world.engine.volumes


def test_a_purge_takes_nothing_that_was_provisioned_with_meanwhile(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The customer came back with --keep-data while a slow host was asked, and left with it kept."""
    waiting(world)
    labels = world.engine.volume_labels

    def slowly(name: str) -> dict[str, str] | None:
        PendingPurge.objects.all().delete()
        return labels(name)

    monkeypatch.setattr(world.engine, "volume_labels", slowly)
    assert purge_pending(world.outside) == []
    assert VOLUME in world.engine.volumes


def test_nobody_goes_on_with_data_that_is_just_being_removed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine has the call to remove it, and does so before the container with it is made."""
    waiting(world)
    remove_volume, create = world.engine.remove_volume, world.engine.create
    back: list[Operation] = []

    def create_late(spec: ContainerSpec) -> str:
        remove_volume(VOLUME)
        return create(spec)

    def remove_slowly(name: str) -> None:
        monkeypatch.setattr(world.engine, "create", create_late)
        back.append(world.provision("c1", former_data="keep"))
        monkeypatch.setattr(world.engine, "create", create)
        remove_volume(name)

    monkeypatch.setattr(world.engine, "remove_volume", remove_slowly)
    assert purge_pending(world.outside) == [VOLUME]
    assert [(done.status, done.error) for done in back] == [
        ("failed", "The data of c1 is just being removed.")
    ]


def test_a_removal_whose_process_died_is_done_later_or_taken_back(world: World) -> None:
    waiting(world)
    PendingPurge.objects.update(holders=BEING_REMOVED, tried_at=world.now)
    assert world.provision("c1", former_data="keep").status == "failed"
    assert purge_pending(world.outside) == [VOLUME]
    assert not PendingPurge.objects.exists()


@pytest.mark.parametrize("began", [None, timedelta(minutes=-6), timedelta(hours=2)])
def test_a_removal_whose_process_died_some_minutes_ago_keeps_no_data(
    world: World, began: timedelta | None
) -> None:
    waiting(world)
    PendingPurge.objects.update(holders=BEING_REMOVED, tried_at=began and world.now + began)
    assert world.provision("c1", former_data="keep").status == "succeeded"
    assert purge_pending(world.outside) == []
    assert VOLUME in world.engine.volumes


@pytest.mark.parametrize("labels", [{}, {"com.docker.compose.project": "shop"}])
def test_a_volume_of_our_name_that_is_not_ours_is_never_purged(world: World, labels: dict[str, str]) -> None:
    world.instance()
    world.engine.volumes[VOLUME] = labels
    done = world.decommission(purge_data=True)
    assert done.status == "succeeded"
    assert done.steps[-1]["detail"].endswith("and was left alone")
    assert world.engine.volumes == {VOLUME: labels}


def test_a_half_removed_customer_is_not_healed_back(world: World) -> None:
    instance = half_removed(world)
    world.engine.lose(instance.container_name)
    sweep_here("tests", world.outside)
    assert world.engine.containers == []
    assert Operation.objects.filter(kind="restart").count() == 0
    for begin in (service.begin_restart, service.begin_update):
        with pytest.raises(RequestError, match=r"c1 is being removed since .*: decommission it again"):
            begin("c1", ASKED, outside=world.outside)
    assert world.decommission().status == "succeeded"


def test_a_check_that_was_under_way_does_not_heal_a_leaving_customer(world: World) -> None:
    instance = world.instance()
    check = a_failure(world, instance, "missing")
    world.engine.fail_next("remove", PermanentError("The engine refuses."))
    world.decommission()
    world.clock.advance(1)
    [late], _ = record([replace(check, seen=replace(check.seen, started_at=world.now))], world.now)
    assert (late.skipped, health_of(instance).failures) == (
        "being removed, so nobody looks after it",
        0,
    )
    instance.health.status = "unhealthy"
    instance.health.save()
    assert restart.begin_automatic(instance.pk, world.now) is None


def test_what_is_told_of_a_leaving_customer_is_true(world: World) -> None:
    instance = world.instance(status="unhealthy", failures=3, down_since=world.now)
    incident = world.incident(instance)
    world.engine.fail_next("remove", PermanentError("The engine refuses."))
    world.decommission()
    row = Instance.objects.select_related("plan", "host", "health").get()
    told = documents.instance(row)
    assert (told["status"], told["leaving_at"]) == ("unknown", documents.time(row.leaving_at))
    incident.refresh_from_db()
    assert (incident.is_open, Incident.objects.open().count()) == (False, 0)


def test_a_purge_that_failed_and_was_not_asked_for_again_is_no_purge(world: World) -> None:
    """The second order keeps the data, which a new instance elsewhere must not begin without."""
    world.instance()
    world.engine.unreachable = True
    asked = service.begin_decommission("c1", ASKED, purge_data=True, outside=world.outside)
    assert service.run_to_end(asked.pk, world.outside).status == "failed"
    world.engine.unreachable = False
    assert world.decommission().status == "succeeded"
    Host.objects.create(name="b", docker_url="unix:///fake/b.sock")
    world.outside.hosts["unix:///fake/b.sock"].images[IMAGE] = world.engine.images[IMAGE]
    done = world.provision("c1", host="b")
    assert f"its data is in {VOLUME} on host local: go on with it (--keep-data)" in done.error
    assert world.provision("c1", former_data="keep").host == world.host


def test_data_that_was_purged_stays_so_when_the_record_of_it_is_forgotten(world: World) -> None:
    world.instance()
    assert world.decommission(purge_data=True).status == "succeeded"
    Operation.objects.all().delete()
    assert world.provision("c1").status == "succeeded"
