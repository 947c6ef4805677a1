"""What a person reads from the first failing check to the recovery, and when it arrives."""

from __future__ import annotations

import pytest
from pytest_django.fixtures import Settings

from instances.alerts.delivery_rules import SENT, DeliveryResult
from instances.alerts.outbox import deliver
from instances.checks.record import record
from instances.documents import Document
from instances.models import Instance
from instances.monitoring.loop import Monitor
from tests.factories import World, a_check, a_failure
from tests.fast.telling import a_channel

pytestmark = pytest.mark.django_db(transaction=True)  # deliveries have threads of their own
EVERY = 30  # seconds between two checks
Arrived = list[tuple[int, str, str, str]]


@pytest.fixture(autouse=True)
def thresholds(settings: Settings) -> None:
    """Three failures are trouble, two successes its end; told after 30 s, critical after 120 s."""
    settings.FAILURE_THRESHOLD, settings.SUCCESS_THRESHOLD = 3, 2
    settings.HOLD, settings.CRITICAL_AFTER = 30, 120


def check(world: World, instance: Instance, *, well: bool) -> None:
    seen = a_check(world, instance) if well else a_failure(world, instance, "http_503")
    record([seen], world.now)


def told(world: World, *, failing: range, until: int) -> Arrived:
    """Seconds since the first check, level, title and text of what arrived by `until`."""
    instance, monitor, arrived = world.instance(), Monitor(world.outside), Arrived()
    for seconds in range(0, until + 1, EVERY):

        def send(_url: str, document: Document, _timeout: float, seconds: int = seconds) -> DeliveryResult:
            arrived.append((seconds, document["level"], document["title"], document["message"]))
            return SENT

        check(world, instance, well=seconds not in failing)
        monitor.ask()
        monitor.tick()
        deliver(world.clock, send)
        world.clock.advance(EVERY)
    return arrived


def test_a_person_reads_that_it_is_down_that_it_stays_down_and_that_it_is_over(world: World) -> None:
    a_channel(min_level="warning")
    assert told(world, failing=range(0, 121), until=180) == [
        (
            90, "warning", "c1 on local is down",
            "c1 on local has been down since 12:00:00 UTC (1 min 30 s, up to 2 min 30 s):"
            " The answer has HTTP status 503.",
        ),
        (
            120, "critical", "c1 on local is still down",
            "c1 on local has been down since 12:00:00 UTC (2 min, up to 3 min), which nobody has"
            " acknowledged: The answer has HTTP status 503.",
        ),
        (
            180, "info", "c1 on local: resolved",
            "c1 on local: healthy again after up to 240 s, without an automatic restart.",
        ),
    ]  # fmt: skip


def test_what_is_well_before_its_third_failure_is_told_to_nobody(world: World) -> None:
    a_channel(min_level="warning")
    assert told(world, failing=range(0, 31), until=90) == []
