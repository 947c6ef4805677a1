"""Waiting until a started container is healthy, for no longer than its plan's grace."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from msgspec.structs import replace

from instances.checks.check_requests import MISSING, CheckRequest, request_for
from instances.checks.observe import RUNNING, Check, observe
from instances.containers.identity import PAUSED
from instances.db.sessions import release_session
from instances.errors import (
    ContainerHung,
    DockmgrError,
    EngineUnreachable,
    GateFailed,
    LeftPaused,
    OwnPassingTrouble,
    RemovedMeanwhile,
)
from instances.health.response import PROBER, Outcome, sentence
from instances.health.soak import (
    ContainerRun,
    Soak,
    SoakCheck,
    SoakRules,
    SoakVerdict,
    judge_soak,
    was_stopped,
)
from instances.health.state import HARD_REASONS
from instances.lib.clock import known
from instances.limits import STEP_SECONDS
from instances.operations.procedure import Work
from instances.operations.steps import container

POLL_SECONDS = 0.5
WATCH_SECONDS = 1.0
HOPELESS = frozenset({"missing", "crash_loop"})
REVIVALS = 3  # of one container that others keep stopping


def margin() -> float:
    """Seconds past the grace in which a last look may still end well."""
    return float(settings.PROBE_TIMEOUT) + 1.0


def wait_limit(work: Work) -> float:
    """Seconds a wait may take: the grace of every run it may see, and that of the watch after it."""
    return STEP_SECONDS + (REVIVALS + 2) * (work.instance.plan.start_grace + margin())


def note_start(work: Work, which: str) -> None:
    """Write down that a container was started just now, and which run of it that is."""
    work.journal.remember(started_at=work.outside.clock.now().isoformat(), **_run_facts(work, which))


def note_run(work: Work, which: str) -> None:
    """Write down which run of a container it was that passed its gate."""
    work.journal.remember(**_run_facts(work, which))


def _run_facts(work: Work, which: str) -> dict[str, Any]:
    facts = work.engine.inspect(which)
    begun = facts.started_at.isoformat() if facts and facts.started_at else None
    return {"run": begun, "restarts": facts.restart_count if facts else 0}


def wait_until_healthy(work: Work, started_at: datetime, request: CheckRequest | None = None) -> Check:
    """Probe until as many checks in a row pass as the policy asks for, and return the last one.

    A container that an engine's restart began anew has its grace anew, and one that it left stopped
    is started. Raises GateFailed when start grace and margin are over, and at once when the container is
    gone or restarts again and again. Raises TransientError when the time ran out and the container could
    not be seen, because of its host or of dockmgr itself.
    """
    gate = _Gate(work, request or request_for(work.instance, RUNNING), started_at)
    passed = 0
    while True:
        check = gate.look()
        passed = passed + 1 if check.seen.outcome is Outcome.OK else 0
        if passed >= settings.SUCCESS_THRESHOLD:
            return check
        if not passed and gate.is_over(check):
            raise _not_healthy(work, check)
        work.outside.wait(POLL_SECONDS)


def watch(work: Work, started_at: datetime, request: CheckRequest) -> Check:
    """See a container stay healthy until start grace and margin are over, and return the last check.

    A program that comes up, answers and dies again must not count as started, however soon it is
    up again. Raises GateFailed after `failure_threshold` failures in a row, or at once when the
    program ends, and TransientError when the time ran out while it could not be seen.
    """
    gate, rules = _Gate(work, request, started_at), _rules(work)
    soak = Soak(started_at, known_run(work))
    while True:
        check = gate.look()
        soak, verdict = judge_soak(soak, _seen(work, request, check), rules)
        if verdict is SoakVerdict.PASSED:
            return check
        _refuse(work, check, verdict)
        work.outside.wait(WATCH_SECONDS)


def _not_healthy(work: Work, check: Check) -> DockmgrError:
    """What it means that the time ran out. One that somebody paused was seen: it does not serve."""
    if check.seen.reason == PAUSED:
        return LeftPaused(_why(work, check))
    if check.seen.outcome is not Outcome.UNKNOWN:
        return _failed(check, _why(work, check))
    if check.seen.reason == PROBER:
        return OwnPassingTrouble(check.seen.error)
    return EngineUnreachable(check.seen.error or sentence("engine"))


def _refuse(work: Work, check: Check, verdict: SoakVerdict) -> None:
    if verdict is SoakVerdict.UNSEEN:
        raise _not_healthy(work, check)
    if verdict is SoakVerdict.ENDED:
        raise GateFailed(f"{work.instance.customer_id} was healthy, then ended and had to be started again.")
    if verdict is SoakVerdict.FAILED:
        raise _failed(check, f"{work.instance.customer_id} was healthy and then failed: {check.seen.error}")


def _failed(check: Check, told: str) -> GateFailed:
    return RemovedMeanwhile(told) if check.seen.reason == MISSING else GateFailed(told)


class _Gate:
    """Looks at one container, starts it where it was stopped, and knows how long to wait for it."""

    def __init__(self, work: Work, request: CheckRequest, since: datetime) -> None:
        self._work, self._request, self._since = work, request, since
        self._begun = known_run(work).started_at
        self._revivals = 0

    def look(self) -> Check:
        """One look; it says nothing of a container that had been stopped and was started again for it."""
        self._work.go_on()
        release_session()
        check = observe(self._request, self._work.outside, settings.PROBE_TIMEOUT)
        if check.seen.reason not in HARD_REASONS or self._revivals == REVIVALS or not self._revived():
            return check
        # What was seen belongs to the run that has ended, so it says nothing of the one that begins.
        seen = replace(check.seen, outcome=Outcome.UNKNOWN, reason="engine", error=sentence("engine"))
        return replace(check, seen=replace(seen, container_started_at=None))

    def is_over(self, check: Check) -> bool:
        """Whether waiting longer is pointless; each run of the container has a grace of its own."""
        begun = check.seen.container_started_at
        if begun and begun != self._begun:
            if self._begun:
                self._begins_anew()
            self._begun = begun
        if known(self._since, self._work.outside.clock.now()) is None:
            self._begins_anew()  # the clock was set back, and would have the gate wait for that long
        deadline = self._since + timedelta(seconds=self._work.instance.plan.start_grace + margin())
        return check.seen.reason in HOPELESS or self._work.outside.clock.now() >= deadline

    def _revived(self) -> bool:
        facts = self._work.engine.inspect(self._request.container)
        if facts is None or facts.id != self._request.container_id:
            return False
        if not was_stopped(facts.state, facts.restart_policy):
            return False
        container.start(self._work, facts.id)
        self._revivals += 1
        self._begins_anew()
        return True

    def _begins_anew(self) -> None:
        self._since = self._work.outside.clock.now()
        self._work.journal.remember(started_at=self._since.isoformat())


def known_run(work: Work) -> ContainerRun:
    """The run of the container that this operation started, as far as it is written down."""
    begun, restarts = work.operation.facts.get("run"), work.operation.facts.get("restarts", 0)
    return ContainerRun(datetime.fromisoformat(begun) if begun else None, restarts)


def _seen(work: Work, request: CheckRequest, check: Check) -> SoakCheck:
    run = _run_of(work, request.container)
    return SoakCheck(work.outside.clock.now(), check.seen.outcome, check.seen.reason, run)


def _run_of(work: Work, which: str) -> ContainerRun | None:
    try:
        facts = work.engine.inspect(which)
    except (EngineUnreachable, ContainerHung):
        return None
    return ContainerRun(facts.started_at, facts.restart_count) if facts else None


def _rules(work: Work) -> SoakRules:
    return SoakRules(work.instance.plan.start_grace, margin(), settings.FAILURE_THRESHOLD)


def _why(work: Work, check: Check) -> str:
    seen = check.seen
    if seen.outcome is Outcome.STARTING:
        what = sentence("start_timeout")
    elif seen.reason == PAUSED:
        what = "it was paused, as `docker pause` does, until that time was over."
    else:
        what = seen.error or sentence(seen.reason)
    return (
        f"{work.instance.customer_id} did not become healthy within "
        f"{work.instance.plan.start_grace:g} s of its start: {what}"
    )
