"""Whom a channel is for, when it is quiet, and when it is a second line: what the fleet file may say."""

from __future__ import annotations

from datetime import time

import pytest

from instances.fleet.file import parse
from tests.pure.fleet.test_file import SECRET, channel, refusal

URL = f"url: 'json://{SECRET}', "

# name: (file, what the sentence names)
WRONG: dict[str, tuple[str, str]] = {
    "half of quiet hours": (channel(URL + "quiet_hours: {from: '22:00'}"), "quiet_hours.to"),
    "quiet hours as a text": (channel(URL + "quiet_hours: '22-07'"), "quiet_hours"),
    "an hour there is not": (channel(URL + "quiet_hours: {from: '24:00', to: '07:00'}"), "quiet_hours.from"),
    "an hour with seconds": (channel(URL + "quiet_hours: {from: '22:00:00', to: '7'}"), "time of day"),
    "quiet hours without end": (channel(URL + "quiet_hours: {from: '07:00', to: '07:00'}"), "must differ"),
    **{
        f"the time zone {zone!r}": (
            channel(URL + f"quiet_hours: {{from: '22:00', to: '07:00', timezone: '{zone}'}}"),
            "quiet_hours.timezone: must be a time zone such as Europe/Berlin",
        )
        for zone in ("", "Mars/Olympus", "Europe", "../etc/passwd", "/etc/localtime", "zone.tab", "a" * 300)
    },
    "a column's name": (channel(URL + "quiet_from: '22:00'"), "quiet_from"),
    "an escalation at once": (channel(URL + "escalate_after: 0"), "escalate_after"),
    "an escalation after ages": (channel(URL + "escalate_after: 31d"), "escalate_after"),
    "an escalation some time": (channel(URL + "escalate_after: later"), "length of time such as 15m"),
    "an escalation that is a truth": (channel(URL + "escalate_after: true"), "length of time such as 15m"),
    "an escalation that is no number": (channel(URL + "escalate_after: .nan"), "escalate_after"),
    "hosts in one text": (channel(URL + "hosts: local"), "channels.0.hosts"),
    "a malformed host": (channel(URL + "hosts: ['a b']"), "channels.0.hosts.0"),
    "a malformed plan": (channel(URL + "plans: [Pro]"), "channels.0.plans.0"),
    "a malformed customer": (channel(URL + "customers: [c1, a_b]"), "channels.0.customers.1"),
    "enabled perhaps": (channel(URL + "enabled: perhaps"), "channels.0.enabled"),
}


@pytest.mark.parametrize(("text", "named"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_thing_about_a_channel_is_named_in_one_sentence(text: str, named: str) -> None:
    assert named in refusal(text)


HOURS = {"'22:00'": time(22), "22:00": time(22), "07:05": time(7, 5), "7:05": time(7, 5), "'00:00'": time(0)}


@pytest.mark.parametrize(("text", "hour"), HOURS.items())
def test_a_time_of_day_may_stand_without_quotes(text: str, hour: time) -> None:
    [entry] = parse(channel(URL + f"quiet_hours: {{from: {text}, to: '12:00'}}")).channels
    assert entry.columns() | {"url": ""} == {
        "name": "ops", "url": "", "quiet_from": hour, "quiet_to": time(12), "timezone": "UTC",
    }  # fmt: skip


@pytest.mark.parametrize(("text", "seconds"), [("15m", 900), ("2h", 7200), ("90", 90), ("0.5", 0.5)])
def test_an_escalation_waits_for_a_length_of_time_or_seconds(text: str, seconds: float) -> None:
    [entry] = parse(channel(URL + f"escalate_after: {text}")).channels
    assert entry.escalate_after == seconds


def test_a_channel_that_is_enabled_again_loses_its_reason() -> None:
    assert parse(channel(URL + "enabled: true")).channels[0].columns()["disabled_reason"] == ""
    assert "disabled_reason" not in parse(channel(URL + "enabled: false")).channels[0].columns()
    assert "disabled_reason" not in parse(channel(f"url: 'json://{SECRET}'")).channels[0].columns()
