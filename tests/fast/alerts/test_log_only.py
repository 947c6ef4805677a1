"""Without a channel alerts reach whoever reads the log: each once, at its level."""

from __future__ import annotations

import logging

import pytest

from instances.models import Channel
from tests.factories import World
from tests.fast.telling import a_channel, change, resolve, told_after

pytestmark = pytest.mark.django_db


def logged(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    """Level and beginning of each line about alerts since this was asked last."""
    lines = [
        (record.levelname, record.getMessage().partition(" since")[0])
        for record in caplog.records
        if "No channel that is told of incidents is enabled" in record.getMessage()
    ]
    caplog.clear()
    return lines


def test_a_channel_hears_of_everything_unless_told_otherwise(db: None) -> None:
    assert Channel.objects.create(name="ops", url="json://127.0.0.1:9/x").min_level == "info"


def test_each_alert_is_logged_once_at_its_level(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "instances")
    incident = world.incident(world.instance())
    told_after(world, 29)
    assert logged(caplog) == []
    told_after(world, 1)
    assert logged(caplog) == [("WARNING", "c1 on local has been down")]
    change(incident, world.now, severity="critical")
    told_after(world, 0)
    assert logged(caplog) == [("CRITICAL", "c1 on local has been down")]
    told_after(world, 3600)
    assert logged(caplog) == []
    resolve(incident, world.now)
    told_after(world, 0)
    assert [level for level, _ in logged(caplog)] == ["INFO"]
    assert list(incident.events.filter(kind="logged").values_list("text", flat=True)) == [
        "warning", "critical", "resolved",
    ]  # fmt: skip


def test_a_channel_that_comes_later_is_told_and_the_log_is_not(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    incident = world.incident(world.instance())
    told_after(world, 30)
    a_channel()
    change(incident, world.now)
    logged(caplog)
    assert told_after(world, 0) == ["ops opened warning c1"]
    assert logged(caplog) == []


def test_a_disabled_channel_is_none(world: World, caplog: pytest.LogCaptureFixture) -> None:
    a_channel(enabled=False)
    world.incident(world.instance())
    told_after(world, 30)
    assert [level for level, _ in logged(caplog)] == ["WARNING"]
