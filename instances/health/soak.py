"""Has a container that was just started proven itself? Pure rules over what is seen of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from instances.health.response import Outcome
from instances.health.state import HARD_REASONS
from instances.lib.clock import known

KEPT_UP = ("always", "unless-stopped")


@dataclass(frozen=True)
class ContainerRun:
    """One run of a container in its engine's words.

    `started_at` is by the engine's clock and only compared with itself; `restarts` counts how often
    the engine started the program again that had ended. An engine that comes back, like anybody who
    starts a container, begins a run at zero.
    """

    started_at: datetime | None
    restarts: int = 0

    def differs_from(self, earlier: ContainerRun) -> bool:
        return self.started_at != earlier.started_at

    def tells_of_an_end_since(self, earlier: ContainerRun) -> bool:
        """Whether the program ended by itself after `earlier` was seen."""
        return self.restarts > (0 if self.differs_from(earlier) else earlier.restarts)


def was_stopped(state: str, restart_policy: str) -> bool:
    """Whether somebody, or an engine that crashed, ended the container: its program could not have."""
    return state == "exited" and restart_policy in KEPT_UP


@dataclass(frozen=True)
class SoakRules:
    """Seconds a run is watched: `grace`, in which it may boot, and `margin` beyond that."""

    grace: float
    margin: float
    failure_threshold: int


@dataclass(frozen=True)
class SoakCheck:
    """What one look saw. Without a `run` the engine was out of reach."""

    at: datetime
    outcome: Outcome
    reason: str = ""
    run: ContainerRun | None = None

    @property
    def blind(self) -> bool:
        return self.outcome is Outcome.UNKNOWN or (self.run is None and self.reason not in HARD_REASONS)


class SoakVerdict(StrEnum):
    WAIT = "wait"
    PASSED = "passed"
    FAILED = "failed"
    ENDED = "ended"  # the program ended by itself and was started again
    UNSEEN = "unseen"  # the time is over, and the host kept it from being seen


@dataclass(frozen=True)
class Soak:
    """A healthy container under watch. `since` is when its present run began, by our clock.

    `booting` is True in a run that began under watch, from outside, until it answers well.
    """

    since: datetime
    run: ContainerRun | None = None
    failures: int = 0
    booting: bool = False

    def is_over(self, now: datetime, rules: SoakRules) -> bool:
        return now >= self.since + timedelta(seconds=rules.grace + rules.margin)

    def after(self, look: SoakCheck, rules: SoakRules) -> Soak:
        if self.run and look.run and look.run.differs_from(self.run):
            begun = replace(self, since=look.at, run=look.run, failures=0, booting=True)
            return begun._after(look, rules)
        return replace(self, run=look.run or self.run)._after(look, rules)

    def _after(self, look: SoakCheck, rules: SoakRules) -> Soak:
        if look.blind:
            return self
        if look.outcome is Outcome.OK:
            return replace(self, failures=0, booting=False)
        may_boot = self.booting and look.at < self.since + timedelta(seconds=rules.grace)
        return self if may_boot else replace(self, failures=self.failures + 1)


def judge_soak(before: Soak, look: SoakCheck, rules: SoakRules) -> tuple[Soak, SoakVerdict]:
    """The soak after a look, and what that means.

    A run that was begun from outside has its own grace: the image is not to blame for an engine
    that restarts. A program that ends by itself has failed, however soon it is up again.
    """
    before = replace(before, since=known(before.since, look.at) or look.at)  # the clock may be set back
    now = before.after(look, rules)
    if before.run and look.run and look.run.tells_of_an_end_since(before.run):
        return now, SoakVerdict.ENDED
    if look.reason in HARD_REASONS or now.failures >= rules.failure_threshold:
        return now, SoakVerdict.FAILED
    if not now.is_over(look.at, rules):
        return now, SoakVerdict.WAIT
    if look.blind:
        return now, SoakVerdict.UNSEEN
    return now, SoakVerdict.PASSED if look.outcome is Outcome.OK else SoakVerdict.WAIT
