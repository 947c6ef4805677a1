"""What a channel knows of an incident by what arrived, and what it is told when it is on again."""

from __future__ import annotations

import pytest

from instances.alerts.rules import (
    ChannelRules,
    Context,
    IncidentFacts,
    LastTold,
    Told,
    decide,
    knowledge,
)
from instances.incidents.rules import AGAIN, Severity
from tests.pure.moments import at

ARRIVED: dict[str, tuple[list[tuple[str, str]], str, bool]] = {
    "nothing": ([], "", False),
    "a beginning": ([("opened", "warning")], "warning", False),
    "a beginning and a rise": ([("flapping", "warning"), ("escalated", "critical")], "critical", False),
    "a reminder": ([("opened", "critical"), ("reminder", "critical")], "critical", False),
    "somebody has seen it": ([("opened", "critical"), ("acknowledged", "critical")], "critical", True),
    "seen, and worse since": (
        [("opened", "warning"), ("acknowledged", "warning"), ("escalated", "critical")], "critical", True,
    ),
    "an end": ([("opened", "warning"), ("acknowledged", "warning"), ("resolved", "info")], "resolved", False),
    "the end of a host's trouble": ([("opened", "critical"), ("summary", "info")], "resolved", False),
    "a restart that helped": ([("recovered", "info")], "info", False),
    "a second stretch": ([("opened", "critical"), ("resolved", "info"), ("opened", "warning")], "warning",
                         False),
}  # fmt: skip


@pytest.mark.parametrize(("messages", "state", "acknowledged"), ARRIVED.values(), ids=ARRIVED.keys())
def test_a_channel_knows_what_it_was_told_last(
    messages: list[tuple[str, str]], state: str, acknowledged: bool
) -> None:
    told = [Told(kind, level, at(second)) for second, (kind, level) in enumerate(messages)]
    known = knowledge(told)
    assert (known.state, known.acknowledged) == (state, acknowledged)
    assert known.at == (told[-1].at if told else None)


@pytest.mark.parametrize("kind", ["instance", "host"])
@pytest.mark.parametrize("severity", [Severity.WARNING, Severity.CRITICAL])
def test_a_channel_that_is_on_again_is_told_of_trouble_as_if_it_were_new(
    kind: str, severity: Severity
) -> None:
    incident = IncidentFacts(kind, severity, confirmed_at=at(0), acknowledged_at=at(10))
    decision = decide(incident, ChannelRules(), LastTold(AGAIN, at(0)), Context(at(60)))
    assert decision.notice
    assert (decision.notice.kind, decision.notice.state) == ("opened", severity.value)


@pytest.mark.parametrize(("kind", "said"), [("instance", "resolved"), ("host", "summary")])
def test_a_channel_that_is_on_again_is_told_the_end_once(kind: str, said: str) -> None:
    incident = IncidentFacts(kind, Severity.WARNING, confirmed_at=at(0), resolved_at=at(50))
    known = LastTold(AGAIN, at(0))
    decision = decide(incident, ChannelRules(), known, Context(at(60)))
    assert decision.notice and decision.notice.kind == said
    after = decide(incident, ChannelRules(), known.after(decision.notice, at(60)), Context(at(70)))
    assert after.notice is None
