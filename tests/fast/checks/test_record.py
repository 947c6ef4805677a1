"""Checks are judged and written down together, each of them once."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.db.models import F
from django.utils import timezone

from instances.checks import record as recording
from instances.checks import sweeps
from instances.checks.observe import Check
from instances.checks.record import Recorded, record
from instances.checks.stored import read_stored
from instances.health.response import Outcome
from instances.health.state import Status
from instances.lib.redact import MARK
from instances.models import Health, HealthCheck, Instance, Operation, Sweep
from instances.operations import service
from tests.factories import ASKED, SECRET, World, a_check, a_failure, about, health_of, interrupt

pytestmark = pytest.mark.django_db


def one(world: World, check: Check) -> Recorded:
    [recorded], _ = record([check], world.now)
    return recorded


def test_a_list_of_checks_is_committed_together(world: World) -> None:
    instances = [world.instance(f"c{number}") for number in range(3)]
    checks = [a_check(world, i, version="2.0", http_status=200, latency_ms=7) for i in instances]
    checks[1] = a_failure(world, instances[1], "http_503", http_status=503)
    recorded, finished = record(checks, world.now)
    assert [r.check for r in recorded] == checks
    assert finished == set()
    assert [health_of(i).status for i in instances] == ["healthy", "suspect", "healthy"]
    first, second = health_of(instances[0]), health_of(instances[1])
    assert (first.version, first.http_status, first.latency_ms, first.failures) == ("2.0", 200, 7, 0)
    assert (second.reason, second.failures, second.down_since) == ("http_503", 1, world.now)
    assert list(HealthCheck.objects.order_by("instance_id").values_list("outcome", "status")) == [
        ("ok", "healthy"),
        ("fail", "suspect"),
        ("ok", "healthy"),
    ]


def test_an_empty_list_is_no_work(world: World) -> None:
    assert record([], world.now) == ([], set())


def test_an_unseen_version_keeps_the_last_one_known(world: World) -> None:
    instance = world.instance(version="1.9")
    one(world, a_failure(world, instance))
    assert health_of(instance).version == "1.9"


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("2026.2.19", "2026.2.19"),
        (f"1.0 {SECRET}", f"1.0 {MARK}"),
        (f"{'x' * 58}{SECRET}"[:64], f"{'x' * 58}{MARK}"[:64]),
    ],
)
def test_a_secret_that_a_container_calls_its_version_is_not_kept(world: World, said: str, kept: str) -> None:
    instance = world.instance()
    instance.env = {"API_KEY": SECRET, "RELEASE": "2026.2.19"}
    instance.save()
    for _ in range(2):
        one(world, a_check(world, instance, version=said))
        assert health_of(instance).version == kept
        world.clock.advance(60)


def test_a_row_changed_between_reading_and_writing_is_judged_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance = world.instance()
    real = read_stored
    rounds: list[list[int]] = []

    def read(ids: list[int], now: datetime) -> Any:
        stored = real(ids, now)
        if not rounds:
            Health.objects.update(revision=F("revision") + 1, failures=2, down_since=world.now)
        rounds.append(ids)
        return stored

    monkeypatch.setattr(recording, "read_stored", read)
    result = one(world, a_failure(world, instance))
    assert result.verdict is not None
    assert result.verdict.restart
    assert (health_of(instance).failures, health_of(instance).status) == (3, "unhealthy")
    assert HealthCheck.objects.get().consecutive_failures == 3
    assert len(rounds) == 2


def test_a_row_that_never_keeps_still_is_left_alone_and_counted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance, sweep = world.instance(), sweeps.start(world.now, 900)
    Sweep.objects.update(total=2)
    real = read_stored

    def read(ids: list[int], now: datetime) -> Any:
        stored = real(ids, now)
        Health.objects.update(revision=F("revision") + 1)
        return stored

    monkeypatch.setattr(recording, "read_stored", read)
    result = one(world, a_failure(world, instance, sweep_id=str(sweep.pk)))
    assert (result.verdict, result.skipped) == (None, "its row was changed all the time")
    assert health_of(instance).failures == 0
    assert Sweep.objects.get().done == 1


def test_overlapping_checks_of_one_instance_count_once(world: World) -> None:
    instance = world.instance()
    early, late = a_failure(world, instance), a_failure(world, instance)
    assert one(world, early).verdict
    world.clock.advance(0.2)
    assert one(world, late).skipped == "a newer check was applied"
    assert health_of(instance).failures == 1
    assert HealthCheck.objects.count() == 1


def test_one_instance_twice_in_a_batch_is_judged_in_order(world: World) -> None:
    instance = world.instance()
    first = a_failure(world, instance)
    world.clock.advance(1)
    overlapping = a_failure(world, instance, started_at=first.seen.started_at)
    after = a_failure(world, instance)
    recorded, _ = record([first, overlapping, after], world.now)
    assert [r.check for r in recorded] == [first, overlapping, after]
    assert [bool(r.verdict) for r in recorded] == [True, False, True]
    assert health_of(instance).failures == 2


def older(world: World, instance: Instance) -> None:
    Health.objects.filter(pk=instance.pk).update(checked_at=world.now + timedelta(seconds=1))


def paused(world: World, instance: Instance) -> None:
    service.pause(instance.customer_id)


def taken(world: World, instance: Instance) -> None:
    operation = service.begin_decommission(instance.customer_id, ASKED, outside=world.outside)
    interrupt(operation, world)


def replaced(world: World, instance: Instance) -> None:
    Instance.objects.filter(pk=instance.pk).update(container_id="another")


def decommissioned(world: World, instance: Instance) -> None:
    world.decommission(instance.customer_id)


@pytest.mark.parametrize(
    ("happens", "why"),
    [
        (older, "a newer check was applied"),
        (paused, "paused"),
        (taken, "being changed by an operation"),
        (replaced, "about a container that was replaced"),
        (decommissioned, "no longer there"),
    ],
)
def test_what_must_not_be_judged_is_skipped_with_its_reason_and_counted(
    world: World, happens: Any, why: str
) -> None:
    instance, sweep = world.instance(), sweeps.start(world.now, 900)
    check = a_failure(world, instance, sweep_id=str(sweep.pk))
    Sweep.objects.update(total=1)
    happens(world, instance)
    before = health_of(instance)
    [result], finished = record([check], world.now)
    assert (result.verdict, result.skipped) == (None, why)
    assert health_of(instance).state() == before.state()
    assert not HealthCheck.objects.exists()
    assert finished == {str(sweep.pk)}
    assert Sweep.objects.get().state == "finished"


def test_a_check_of_an_unknown_instance_is_skipped(world: World) -> None:
    check = about(a_failure(world, world.instance()), instance_id=424242)
    assert one(world, check).skipped == "no longer there"


def test_the_check_that_completes_a_sweep_finishes_it(world: World) -> None:
    instances = [world.instance(f"c{number}") for number in range(3)]
    sweep = sweeps.start(world.now, 900)
    Sweep.objects.update(total=3)
    checks = [a_check(world, i, sweep_id=str(sweep.pk)) for i in instances]
    assert record(checks[:2], world.now)[1] == set()
    assert Sweep.objects.get().state == "running"
    world.clock.advance(3)
    assert record(checks[2:], world.now)[1] == {str(sweep.pk)}
    swept = Sweep.objects.get()
    assert (swept.state, swept.done, swept.finished_at) == ("finished", 3, world.now)
    assert swept.checks.count() == 3


def test_an_attended_sweep_is_not_finished_by_its_last_check(world: World) -> None:
    instance = world.instance()
    sweep = sweeps.start(world.now, 900, attended=True)
    Sweep.objects.update(total=1)
    assert record([a_check(world, instance, sweep_id=str(sweep.pk))], world.now)[1] == set()
    assert Sweep.objects.get().state == "running"


def test_a_failing_statement_writes_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    instance, other = world.instance("c1"), world.instance("c2")
    sweep = sweeps.start(world.now, 900)

    def breaks(*_: Any) -> set[str]:
        raise OperationalError("disk full")

    monkeypatch.setattr(recording, "_count", breaks)
    checks = [a_failure(world, i, sweep_id=str(sweep.pk)) for i in (instance, other)]
    with pytest.raises(OperationalError):
        record(checks, world.now)
    assert [health_of(i).failures for i in (instance, other)] == [0, 0]
    assert [health_of(i).revision for i in (instance, other)] == [0, 0]
    assert not HealthCheck.objects.exists()


def test_what_is_unknown_moves_no_streak(world: World) -> None:
    instance = world.instance(status="suspect", failures=2, down_since=world.now)
    one(world, a_check(world, instance, Outcome.UNKNOWN, "engine"))
    assert (health_of(instance).status, health_of(instance).failures) == (Status.UNKNOWN, 2)


def test_a_long_error_is_cut_to_its_column(world: World) -> None:
    instance = world.instance()
    one(world, a_failure(world, instance, error="x" * 1000))
    assert health_of(instance).error == "x" * 255


def test_five_hundred_checks_fit_one_statement(world: World) -> None:
    plan, host = world.plan, world.host
    made = Instance.objects.bulk_create(
        Instance(
            customer_id=f"m{n}", subdomain=f"m{n}.example.com", plan=plan, host=host, port=30000 + n,
            provisioned_at=world.now,
        )
        for n in range(500)
    )  # fmt: skip
    Health.objects.bulk_create(Health(instance=instance) for instance in made)
    template = a_check(world, made[0])
    checks = [about(template, instance_id=i.pk, customer_id=i.customer_id) for i in made]
    record(checks, world.now)
    assert Health.objects.filter(status="healthy").count() == 500
    assert HealthCheck.objects.count() == 500


@pytest.mark.django_db(transaction=True)
def test_threads_recording_the_same_instances_never_count_twice(world: World) -> None:
    instances = [world.instance(f"c{number}") for number in range(4)]
    checks = [a_failure(world, instance) for instance in instances]
    together = threading.Barrier(4)
    applied: list[int] = []

    def work(turn: int) -> None:
        together.wait(60)
        try:
            mixed = checks[turn:] + checks[:turn]
            recorded, _ = record(mixed, timezone.now())
            applied.extend(r.check.request.instance_id for r in recorded if r.verdict)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(turn,)) for turn in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(applied) == sorted(instance.pk for instance in instances)
    assert {health_of(instance).failures for instance in instances} == {1}
    assert HealthCheck.objects.count() == 4
    assert Operation.objects.count() == 0
