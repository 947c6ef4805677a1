"""What a channel is told of an incident, and when it is looked at again."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instances.alerts.quiet_hours import QuietHours
from instances.alerts.rules import (
    ChannelRules,
    Context,
    Decision,
    IncidentFacts,
    Labels,
    LastTold,
    blocked_until,
    concerns,
    decide,
)
from instances.incidents.rules import Severity
from tests.pure.moments import at, seconds

HOUR = 3600.0
ALL = ChannelRules(min_level=Severity.INFO)
USUAL = ChannelRules()
PAGER = ChannelRules(min_level=Severity.CRITICAL)
DUTY = ChannelRules(acknowledges=True)
SECOND = ChannelRules(escalate_after=900)
NIGHT = ChannelRules(quiet=QuietHours(time(22), time(7), UTC))  # second 0 is midnight

BLIP = IncidentFacts("instance", Severity.INFO)
WARNED = IncidentFacts("instance", Severity.WARNING, confirmed_at=at(0))
SEEN = replace(WARNED, acknowledged_at=at(40))
CRITICAL = replace(WARNED, severity=Severity.CRITICAL)
HOST = IncidentFacts("host", Severity.CRITICAL, confirmed_at=at(0))
PAUSED = IncidentFacts("container", Severity.WARNING, confirmed_at=at(0), wait=timedelta(minutes=10))


def over(incident: IncidentFacts, second: float, **changes: Any) -> IncidentFacts:
    return replace(incident, resolved_at=at(second), **changes)


def knows(state: str, second: float = 0, *, waiting: bool = False) -> LastTold:
    return LastTold(state, at(second), waiting)


NEW = LastTold()

# name: (incident, rules, known, second, what is told, when to look again)
TOLD: dict[str, tuple[IncidentFacts, ChannelRules, LastTold, float, str, float | None]] = {
    "an unconfirmed failure": (BLIP, ALL, NEW, 0, "", None),
    "a blip that is over": (over(BLIP, 10), ALL, NEW, 100, "", None),
    "a warning on hold": (WARNED, USUAL, NEW, 0, "", 30),
    "a warning held long enough": (WARNED, USUAL, NEW, 30, "opened warning", 30 + 4 * HOUR),
    "a warning below the channel's level": (WARNED, PAGER, NEW, 30, "", None),
    "the same again": (WARNED, USUAL, knows("warning", 30), 40, "", 30 + 4 * HOUR),
    "a rise at once": (CRITICAL, USUAL, knows("warning", 5), 6, "escalated critical", 6 + HOUR),
    "restarts used up on hold": (CRITICAL, PAGER, NEW, 5, "", 30),
    "critical by its length, at once": (
        replace(CRITICAL, overdue=True), USUAL, NEW, 0, "opened critical", HOUR,
    ),
    "a host, at once": (HOST, USUAL, NEW, 0, "opened critical", HOUR),
    "a pause that may be a backup": (PAUSED, USUAL, NEW, 599, "", 600),
    "a pause that lasts": (PAUSED, USUAL, NEW, 600, "opened warning", 600 + 4 * HOUR),
    "a flapping one": (replace(WARNED, flapping=True), USUAL, NEW, 30, "flapping warning", 30 + 4 * HOUR),
    "what was seen, to a service": (SEEN, DUTY, knows("warning"), 50, "acknowledged warning", None),
    "what was seen, to a service that is told": (
        SEEN, DUTY, LastTold("warning", at(0), acknowledged=True), 50, "", None,
    ),
    "what was seen, to a service at night": (
        SEEN, replace(DUTY, quiet=NIGHT.quiet), knows("warning"), 50, "acknowledged warning", None,
    ),
    "what was seen before it was told": (SEEN, DUTY, NEW, 50, "opened warning", 40),
    "what was seen and rises": (
        replace(SEEN, severity=Severity.CRITICAL), DUTY, LastTold("warning", at(0), acknowledged=True), 60,
        "escalated critical", None,
    ),
    "what was seen, to people": (SEEN, USUAL, knows("warning"), 50, "", None),
    "failing again after it was resolved": (
        WARNED, USUAL, knows("resolved"), 30, "opened warning", 30 + 4 * HOUR,
    ),
    "failing again is held as well": (WARNED, USUAL, knows("resolved"), 3, "", 30),
    "the end of what was told": (over(WARNED, 90), USUAL, knows("warning"), 90, "resolved info", None),
    "the end below the channel's level": (
        over(CRITICAL, 90), PAGER, knows("critical"), 90, "resolved info", None,
    ),
    "the end twice": (over(WARNED, 90), USUAL, knows("resolved"), 91, "", None),
    "the end of what was never told": (over(WARNED, 20), USUAL, NEW, 60, "", None),
    "a restart helped, on hold": (over(BLIP, 20, restarts=1), ALL, NEW, 20, "", 50),
    "a restart helped": (over(BLIP, 20, restarts=1), ALL, NEW, 50, "recovered info", None),
    "a restart helped, told twice": (over(BLIP, 20, restarts=1), ALL, knows("info"), 60, "", None),
    "a restart helped, above info": (over(BLIP, 20, restarts=1), USUAL, NEW, 60, "", None),
    "a restart helped after a warning": (
        over(WARNED, 90, restarts=1), ALL, knows("warning"), 90, "resolved info", None,
    ),
    "a reminder of a warning": (WARNED, USUAL, knows("warning"), 4 * HOUR, "reminder warning", 8 * HOUR),
    "a reminder not yet due": (CRITICAL, USUAL, knows("critical"), HOUR - 1, "", HOUR),
    "a reminder of the critical": (CRITICAL, USUAL, knows("critical"), HOUR, "reminder critical", 2 * HOUR),
    "no reminder while the last message waits": (
        CRITICAL, USUAL, knows("critical", waiting=True), HOUR, "", 2 * HOUR,
    ),
    "no reminder of a new, unconfirmed stretch": (BLIP, ALL, knows("warning"), 5 * HOUR, "", None),
    "no reminder once acknowledged": (
        replace(CRITICAL, acknowledged_at=at(9)), USUAL, knows("critical"), 9 * HOUR, "", None,
    ),
    "a rise although acknowledged": (
        replace(CRITICAL, acknowledged_at=at(9)), USUAL, knows("warning"), 60, "escalated critical", None,
    ),
    "the end although acknowledged": (
        over(replace(WARNED, acknowledged_at=at(9)), 60), USUAL, knows("warning"), 60, "resolved info", None,
    ),
    "a beginning that was refused": (WARNED, USUAL, knows("", 500), 60, "", 500),
    "an end that was refused": (over(WARNED, 90), USUAL, knows("again", 500), 91, "", 500),
    "an end that was refused, later": (
        over(WARNED, 90), USUAL, knows("again", 500), 500, "resolved info", None,
    ),
    "a second line before its time": (CRITICAL, SECOND, NEW, 60, "", 900),
    "a second line in time": (CRITICAL, SECOND, NEW, 900, "escalated critical", 900 + HOUR),
    "a second line is not for warnings": (WARNED, SECOND, NEW, 9 * HOUR, "", None),
    "a second line is spared by an acknowledgement": (
        replace(CRITICAL, acknowledged_at=at(800)), SECOND, NEW, 900, "", None,
    ),
    "a second line hears the end": (
        over(CRITICAL, 950), SECOND, knows("critical"), 950, "resolved info", None,
    ),
    "a second line hears of no restarts": (
        over(BLIP, 20, restarts=1), replace(SECOND, min_level=Severity.INFO), NEW, 60, "", None,
    ),
    "a warning by night": (WARNED, NIGHT, NEW, 40, "", 7 * HOUR),
    "a warning in the morning": (WARNED, NIGHT, NEW, 7 * HOUR, "opened warning", 11 * HOUR),
    "a hold that ends by night": (
        replace(WARNED, confirmed_at=at(22 * HOUR - 10)), NIGHT, NEW, 22 * HOUR - 10, "", 31 * HOUR,
    ),
    "a critical one by night": (CRITICAL, NIGHT, NEW, 40, "opened critical", 40 + HOUR),
    "the end by night": (over(CRITICAL, 90), NIGHT, knows("critical"), 90, "", 7 * HOUR),
}  # fmt: skip


def said(decision: Decision) -> str:
    notice = decision.notice
    return f"{notice.kind} {notice.level.value}" if notice else ""


@pytest.mark.parametrize(
    ("incident", "rules", "known", "second", "told", "look"), TOLD.values(), ids=TOLD.keys()
)
def test_only_the_difference_is_told_and_only_when_it_may_be(
    incident: IncidentFacts,
    rules: ChannelRules,
    known: LastTold,
    second: float,
    told: str,
    look: float | None,
) -> None:
    decision = decide(incident, rules, known, Context(at(second)))
    assert (said(decision), seconds(decision.look_at)) == (told, look)


def test_a_second_line_counts_from_when_the_first_was_told() -> None:
    moment = Context(at(1000), critical_since=at(300))
    assert decide(CRITICAL, SECOND, NEW, moment) == Decision(look_at=at(1200))


def test_a_second_line_is_reminded_like_any_other() -> None:
    decision = decide(CRITICAL, SECOND, knows("critical"), Context(at(HOUR), critical_since=at(0)))
    assert said(decision) == "reminder critical"


@pytest.mark.parametrize("known", [NEW, knows("warning"), knows("critical", -9 * HOUR)])
def test_nothing_is_told_while_something_is_in_the_way(known: LastTold) -> None:
    moment = Context(at(60), blocked_until=at(120))
    assert decide(CRITICAL, USUAL, known, moment) == Decision(look_at=at(120))


def test_what_is_in_the_way_matters_only_when_there_is_news() -> None:
    moment = Context(at(60), blocked_until=at(120))
    assert decide(BLIP, ALL, NEW, moment) == Decision()


def test_a_block_that_ends_by_night_goes_on_until_the_morning() -> None:
    assert decide(WARNED, NIGHT, NEW, Context(at(40), blocked_until=at(90))).look_at == at(7 * HOUR)


BLOCKS: dict[str, tuple[bool, float | None, bool, float | None]] = {
    "nothing": (False, None, False, None),
    "a larger incident": (True, None, False, 160),
    "a mute": (False, 500, False, 500),
    "a change under way": (False, None, True, 110),
    "all of it": (True, 500, True, 500),
}


@pytest.mark.parametrize(
    ("covered", "muted", "changing", "until"), BLOCKS.values(), ids=BLOCKS.keys()
)  # fmt: skip
def test_the_last_obstacle_counts(
    covered: bool, muted: float | None, changing: bool, until: float | None
) -> None:
    muted_until = None if muted is None else at(muted)
    found = blocked_until(at(100), covered=covered, muted_until=muted_until, changing=changing)
    assert seconds(found) == until


NAMES = frozenset({"h1"})
SCOPES: dict[str, tuple[ChannelRules, Labels, bool]] = {
    "everything": (ChannelRules(), Labels("instance", "h1", "pro", "c1"), True),
    "its host": (ChannelRules(hosts=NAMES), Labels("instance", "h1", "pro", "c1"), True),
    "another host": (ChannelRules(hosts=NAMES), Labels("instance", "h2", "pro", "c1"), False),
    "its plan": (ChannelRules(plans=frozenset({"pro"})), Labels("instance", "h1", "pro", "c1"), True),
    "another plan": (ChannelRules(plans=frozenset({"free"})), Labels("instance", "h1", "pro", "c1"), False),
    "its customer": (ChannelRules(customers=frozenset({"c1"})), Labels("instance", "h1", "pro", "c1"), True),
    "another customer": (
        ChannelRules(customers=frozenset({"c2"})), Labels("instance", "h1", "pro", "c1"), False,
    ),
    "its host and another plan": (
        ChannelRules(hosts=NAMES, plans=frozenset({"free"})), Labels("instance", "h1", "pro", "c1"), False,
    ),
    "a host": (ChannelRules(), Labels("host", "h1"), True),
    "that host": (ChannelRules(hosts=NAMES), Labels("host", "h1"), True),
    "not that host": (ChannelRules(hosts=NAMES), Labels("host", "h2"), False),
    "a host, for a plan's channel": (ChannelRules(plans=frozenset({"pro"})), Labels("host", "h1"), False),
    "a host, for a customer's channel": (
        ChannelRules(customers=frozenset({"c1"})), Labels("host", "h1"), False,
    ),
    "the fleet, for anybody": (ChannelRules(hosts=NAMES, customers=NAMES), Labels("fleet"), True),
    "dockmgr itself, for anybody": (ChannelRules(plans=NAMES), Labels("self"), True),
}  # fmt: skip


@pytest.mark.parametrize(("rules", "labels", "expected"), SCOPES.values(), ids=SCOPES.keys())
def test_a_channel_hears_of_what_it_is_for(rules: ChannelRules, labels: Labels, expected: bool) -> None:
    assert concerns(rules, labels) is expected


BERLIN = ZoneInfo("Europe/Berlin")
NIGHTS: dict[str, tuple[str, str, str, str]] = {
    "by day": ("22:00", "07:00", "2026-06-01T10:00Z", "2026-06-01T10:00Z"),
    "before midnight": ("22:00", "07:00", "2026-06-01T20:30Z", "2026-06-02T05:00Z"),
    "after midnight": ("22:00", "07:00", "2026-06-02T01:00Z", "2026-06-02T05:00Z"),
    "at the very end": ("22:00", "07:00", "2026-06-02T05:00Z", "2026-06-02T05:00Z"),
    "within one day": ("12:00", "14:00", "2026-01-05T11:30Z", "2026-01-05T13:00Z"),
    "the night clocks go forward": ("22:00", "07:00", "2026-03-28T22:00Z", "2026-03-29T05:00Z"),
    "an end that the clocks skip": ("22:00", "02:30", "2026-03-29T00:30Z", "2026-03-29T01:30Z"),
    "the night clocks go back": ("22:00", "07:00", "2026-10-24T21:00Z", "2026-10-25T06:00Z"),
    "an end that comes twice": ("22:00", "02:30", "2026-10-25T00:00Z", "2026-10-25T00:30Z"),
    "between the two ends": ("22:00", "02:30", "2026-10-25T01:10Z", "2026-10-25T01:30Z"),
    "hours that are none": ("08:00", "08:00", "2026-06-01T06:00Z", "2026-06-01T06:00Z"),
}


@pytest.mark.parametrize(("begin", "end", "moment", "over_at"), NIGHTS.values(), ids=NIGHTS.keys())
def test_quiet_hours_end_by_the_clocks_of_the_place(begin: str, end: str, moment: str, over_at: str) -> None:
    quiet = QuietHours(time.fromisoformat(begin), time.fromisoformat(end), BERLIN)
    assert quiet.over_at(datetime.fromisoformat(moment)) == datetime.fromisoformat(over_at)


moments = st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC))
clocks = st.times().map(lambda clock: clock.replace(second=0, microsecond=0))


@given(clocks, clocks, moments)
def test_quiet_hours_always_end_later_and_within_a_day(begin: time, end: time, moment: datetime) -> None:
    over_at = QuietHours(begin, end, BERLIN).over_at(moment)
    assert moment <= over_at <= moment + timedelta(hours=25)


incidents = st.builds(
    IncidentFacts,
    kind=st.sampled_from(["instance", "host", "fleet", "self"]),
    severity=st.sampled_from(Severity),
    confirmed_at=st.none() | st.just(at(0)),
    resolved_at=st.none() | st.just(at(500)),
    acknowledged_at=st.none() | st.just(at(200)),
    restarts=st.integers(0, 2),
    flapping=st.booleans(),
    overdue=st.booleans(),
)
channels = st.sampled_from([ALL, USUAL, PAGER, SECOND, NIGHT])
states = st.sampled_from([NEW, *(knows(state) for state in ("info", "warning", "critical", "resolved"))])
obstacles = st.none() | st.floats(0, 2e5).map(at)


@given(incidents, channels, states, st.floats(0, 1e5).map(at), obstacles)
def test_who_looks_again_when_told_to_comes_to_an_end(
    incident: IncidentFacts, rules: ChannelRules, known: LastTold, now: datetime, until: datetime | None
) -> None:
    """Every look lies in the future, and between two messages there are few."""
    blocked = until if until and until > now else None
    for _ in range(4):
        decision = decide(incident, rules, known, Context(now, blocked_until=blocked))
        if decision.notice is not None or decision.look_at is None:
            return
        assert decision.look_at > now
        now, blocked = decision.look_at, None
    pytest.fail("it is looked at for ever and nothing is told")


@given(incidents, channels, states, st.floats(0, 1e5).map(at))
def test_what_was_told_is_not_told_again_at_once(
    incident: IncidentFacts, rules: ChannelRules, known: LastTold, now: datetime
) -> None:
    first = decide(incident, rules, known, Context(now))
    if first.notice is not None:
        second = decide(incident, rules, LastTold(first.notice.state, now), Context(now))
        assert second.notice is None
        assert (second.look_at is None) is (first.look_at is None)
        assert (second.look_at or now) >= (first.look_at or now)  # quiet hours may put it off
