"""When a host is in trouble, and when that has passed: pure decisions."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

MOST_FAILING, FEW_WELL = 0.75, 0.25  # parts of them that make what failing instances have in common
Traits = Mapping[str, str]  # of one instance: the reason it fails for, its image, plan, version


@dataclass(frozen=True)
class HostRules:
    """The numbers: seconds, and the least and the percentage of instances that make a wave."""

    ask_interval: float = 10.0
    wave_window: float = 120.0
    wave_least: int = 5
    wave_percent: int = 30


class Trouble(StrEnum):
    """What is wrong with a host.

    Its engine is out of reach, or can't be reached in the way it is set up; another engine answers; the
    engine's data is not there; or many instances fail at once.
    """

    ENGINE = "engine"
    CONFIGURATION = "configuration"
    ANOTHER_ENGINE = "another_engine"
    DATA_LOST = "data_lost"
    WAVE = "wave"


@dataclass(frozen=True)
class PingRecord:
    """What came of asking an engine: failures in a row, from the first to the last."""

    failures: int = 0
    failing_since: datetime | None = None
    last_at: datetime | None = None
    error: str = ""


def after_asking(before: PingRecord, at: datetime, error: str) -> PingRecord:
    """An engine that was asked at `at` answered, or failed with `error`."""
    if not error:
        return PingRecord(last_at=at)
    return PingRecord(before.failures + 1, before.failing_since or at, at, error)


@dataclass(frozen=True)
class HostFacts:
    """A host at one moment: its engine, its active instances, and those that began to fail lately.

    `distrust` is why an engine that answers is not believed; one such answer is proof enough.
    `misconfigured` says that it was not reached because of how the host is set up.
    """

    asked: PingRecord
    active: int
    failed: int
    distrust: Trouble | None = None
    misconfigured: bool = False


@dataclass(frozen=True)
class OpenIncident:
    """The host's open incident. In its grace it is over unless trouble comes back."""

    trouble: str
    in_grace: bool


class HostStep(StrEnum):
    """What to do: nothing, open the incident (or say the worse cause), begin its grace, or end that."""

    LEAVE = "leave"
    OPEN = "open"
    GRACE = "grace"
    RELAPSE = "relapse"


def wave_limit(active: int, rules: HostRules) -> int:
    """How many of `active` instances must begin to fail within the window for it to be the host."""
    return max(rules.wave_least, math.ceil(active * rules.wave_percent / 100))


def wave_begins(now: datetime, told_at: datetime | None, rules: HostRules) -> datetime:
    """Failures after this moment count. What the last incident's end has told of is no new wave."""
    window = now - timedelta(seconds=rules.wave_window)
    return max(window, told_at) if told_at else window


def trouble_of(found: HostFacts, rules: HostRules) -> Trouble | None:
    """What is wrong, the engine first: one failed question proves nothing, two apart from each other do."""
    if found.distrust is not None:
        return found.distrust
    if _failed_apart(found.asked, rules):
        return Trouble.CONFIGURATION if found.misconfigured else Trouble.ENGINE
    return Trouble.WAVE if found.failed >= wave_limit(found.active, rules) else None


def _failed_apart(asked: PingRecord, rules: HostRules) -> bool:
    if asked.failures < 2 or asked.failing_since is None or asked.last_at is None:
        return False
    return asked.last_at - asked.failing_since >= timedelta(seconds=rules.ask_interval)


def next_step(found: HostFacts, known: OpenIncident | None, rules: HostRules) -> HostStep:
    """What a look at the host calls for.

    An incident about the engine ends with the engine's trouble: what it left behind fails in a wave
    when it is seen again, which is told once, when the grace is over.
    """
    trouble = trouble_of(found, rules)
    if known is None:
        return HostStep.OPEN if trouble else HostStep.LEAVE
    if trouble not in (None, Trouble.WAVE, known.trouble):
        return HostStep.OPEN
    goes_on = found.asked.failures > 0 or (trouble is Trouble.WAVE and known.trouble == Trouble.WAVE)
    if goes_on:
        return HostStep.RELAPSE if known.in_grace else HostStep.LEAVE
    return HostStep.LEAVE if known.in_grace else HostStep.GRACE


def ask_soon(found: HostFacts, is_open: bool) -> bool:
    """Whether the engine is to be asked again as one that may be in trouble, without a new suspicion."""
    return is_open or found.asked.failures > 0 or found.failed > 0


def describe(
    trouble: Trouble, host: str, found: HostFacts, rules: HostRules, shared: Mapping[str, str] | None = None
) -> str:
    """The trouble as a sentence; of a wave also what its instances have in common."""
    if trouble is not Trouble.WAVE:
        return found.asked.error
    number = f"{found.failed} of {found.active} instances of host {host}"
    told = ", ".join(f"{name} {value}" for name, value in (shared or {}).items())
    common = f"in common: {told}" if told else "with nothing in common"
    return f"{number} failed within {rules.wave_window:g} s, {common}."


def in_common(failing: Sequence[Traits], well: Sequence[Traits]) -> dict[str, str]:
    """What most of the failing share and few of the well ones do, by name: where to look first."""
    names = dict.fromkeys(name for traits in failing for name in traits)
    most = {name: Counter(traits.get(name, "") for traits in failing).most_common(1)[0] for name in names}
    return {
        name: value
        for name, (value, count) in most.items()
        if value
        and count >= MOST_FAILING * len(failing)
        and sum(traits.get(name) == value for traits in well) <= FEW_WELL * len(well)
    }


def half_are_bad(bad: int, hosts: int) -> bool:
    """Whether it is not the hosts: two or more, and at least half of those with instances, are in trouble.

    One host alone never is: its own incident says all there is to say.
    """
    return bad >= 2 and 2 * bad >= hosts
