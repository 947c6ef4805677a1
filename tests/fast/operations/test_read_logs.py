"""Logs are bounded, redacted, and only as many lines as were asked for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from instances.errors import EngineUnreachable, RequestError
from instances.models import Plan
from instances.operations import read_logs
from instances.operations.read_logs import line_count, moment, read
from tests.factories import SECRET, World

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize("value", [1, 100, 10_000])
def test_a_sensible_number_of_lines_is_taken(value: int) -> None:
    assert line_count(value) == value


@pytest.mark.parametrize("value", [0, -1, 10_001, True, None, "5", 1.5, [1]])
def test_any_other_number_of_lines_is_refused(value: object) -> None:
    with pytest.raises(RequestError, match=r"between 1 and 10000\.$"):
        line_count(value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, None),
        ("", None),
        ("30s", NOW - timedelta(seconds=30)),
        ("10m", NOW - timedelta(minutes=10)),
        ("2h", NOW - timedelta(hours=2)),
        ("1d", NOW - timedelta(days=1)),
        ("0s", NOW),
        ("2026-02-28T12:00:00Z", NOW - timedelta(days=1)),
        ("2026-02-28T14:00:00+02:00", NOW - timedelta(days=1)),
    ],
)
def test_a_moment_is_a_while_ago_or_a_time_with_its_zone(text: str | None, expected: datetime | None) -> None:
    assert moment(text, NOW) == expected


@pytest.mark.parametrize(
    "text",
    ["10", "m", "-5m", "1.5h", "10M", "yesterday", "2026-02-28", "2026-02-28T12:00:00", "99999999d", "²m"],
)
def test_any_other_moment_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match="30s, 10m, 2h, 1d or an RFC 3339 time"):
        moment(text, NOW)


@pytest.mark.django_db
def test_secrets_of_instance_and_plan_are_redacted(world: World) -> None:
    instance = world.instance()
    Plan.objects.filter(name="pro").update(env={"PLAN": "plan-wide-secret"})
    instance.plan.refresh_from_db()
    world.engine.write_log(instance.container_name, f"a {SECRET} b\nplan-wide-secret\n".encode())
    tail = read(instance, world.outside.engines, 10, None)
    assert tail.lines == ["a [redacted] b", "[redacted]"]


@pytest.mark.django_db
def test_only_the_last_lines_are_read(world: World) -> None:
    instance = world.instance()
    world.engine.write_log(instance.container_name, b"".join(b"%d\n" % n for n in range(50)))
    assert read(instance, world.outside.engines, 3, None).lines == ["47", "48", "49"]


@pytest.mark.django_db
def test_hostile_bytes_do_no_harm(world: World) -> None:
    instance = world.instance()
    world.engine.write_log(instance.container_name, b"\xff\xfe ok\n" + b"x" * 300_000 + b"\nlast\n")
    tail = read(instance, world.outside.engines, 10, None)
    assert (tail.truncated, tail.lines[-1]) == (True, "last")
    assert sum(map(len, tail.lines)) < 300_000
    assert all(isinstance(line, str) for line in tail.lines)


@pytest.mark.django_db
def test_a_lost_container_has_no_log(world: World) -> None:
    instance = world.instance()
    world.engine.lose(instance.container_name)
    with pytest.raises(RequestError, match="c1 has no container, so there is no log"):
        read(instance, world.outside.engines, 10, None)


@pytest.mark.django_db
def test_an_engine_out_of_reach_is_told_apart(world: World) -> None:
    instance = world.instance()
    world.engine.unreachable = True
    with pytest.raises(EngineUnreachable):
        read(instance, world.outside.engines, 10, None)


@pytest.mark.django_db
def test_reading_that_never_ends_is_broken_off(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    instance = world.instance()
    closed: list[bool] = []

    class Endless:
        def __iter__(self) -> Any:
            return self

        def __next__(self) -> bytes:
            return b"on and on\n"

        def close(self) -> None:
            closed.append(True)

    monkeypatch.setattr(world.engine, "logs", lambda *_, **__: Endless())
    monkeypatch.setattr(read_logs, "READ_SECONDS", 0.05)
    tail = read(instance, world.outside.engines, 5, None)
    assert (tail.truncated, closed) == (True, [True])
