"""One process's watch over what time, hosts and dockmgr itself do; nothing here depends on beat."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings

from instances.alerts import notify, outbox
from instances.incidents import deadlines
from instances.incidents.from_health import how_it_ended
from instances.incidents.hosts import host_summary
from instances.incidents.rules import CRASHING, LOG, RESOURCES
from instances.lib.clock import is_due
from instances.lib.durations import span
from instances.models import Channel, Incident
from instances.monitoring import clocks, fleet, hosts, operations, self_check
from instances.monitoring.fleet import SelfTest
from instances.monitoring.orphans import look_for_orphans
from instances.monitoring.self_check import SelfCheck
from instances.outside import Outside

AFTER_HOLD = timedelta(seconds=5)
STEP = 1.0  # seconds between two looks at messages that wait
JUDGE_EVERY = timedelta(seconds=3)
LOOK_EVERY = timedelta(seconds=10)


class Monitor:
    """What to do again and again. `tick` needs the database alone; `ask` and `compare` wait for others.

    All may run in any number of processes, and beside each other in threads of one.
    """

    def __init__(self, outside: Outside, *, engines: bool = True, itself: SelfCheck | None = None) -> None:
        self._outside = outside
        self._engines = engines
        self._itself = itself
        self._test = SelfTest(outside)
        self._round_at: datetime | None = None
        self._judged_at: datetime | None = None
        self._looked_at: datetime | None = None
        self._compared_at: datetime | None = None

    def round(self) -> None:
        """Do all of it, if DOCKMGR_WATCH_INTERVAL has passed since the last time."""
        now = self._outside.clock.now()
        if is_due(self._round_at, _interval(), now):
            self._round_at = now
            self.ask()
            self.compare()
            self.tick()

    def tick(self) -> None:
        """Meet deadlines, judge the fleet and dockmgr, and write down what there is to tell."""
        now = self._outside.clock.now()
        is_judging, before = is_due(self._judged_at, JUDGE_EVERY, now), self._judged_at
        self._judged_at = now if is_judging else before
        try:
            if is_judging and self._itself is not None:
                stood_still = before is not None and now - before > self_check.LONG_BLIND + _interval()
                self._itself.judge(now, stood_still=stood_still)
        finally:  # a sign of life does not depend on what else can be done, nor that on it
            self._go_on(now, is_judging)

    def _go_on(self, now: datetime, is_judging: bool) -> None:
        deadlines.apply_due(now, resolution)
        if is_judging:
            clocks.judge_clock(self._outside.clock, now)
            fleet.judge_fleet(now)
            operations.judge_operations(now)
        notify.enqueue_notifications(now)

    def ask(self) -> None:
        """Ask hosts' engines that are due, oneself, and the broker."""
        if self._engines:
            hosts.ask_due(self._outside)
        now = self._outside.clock.now()
        if is_due(self._looked_at, LOOK_EVERY, now):
            self._looked_at = now
            if self._engines:
                self._test.run()
            if self._itself is not None:
                self._itself.look_at_queues(now)

    def compare(self) -> None:
        """Compare what one host holds with what it should. An engine that hangs holds up nothing else."""
        now = self._outside.clock.now()
        if self._engines and is_due(self._compared_at, LOOK_EVERY, now):
            self._compared_at = now
            look_for_orphans(self._outside)


def _interval() -> timedelta:
    return timedelta(seconds=settings.WATCH_INTERVAL)


def resolution(incident: Incident) -> str:
    """How an incident ended, told when its time has come: for a host, how many are still down."""
    if incident.kind == "host" and incident.host_id is not None:
        return host_summary(incident.host_id)
    if incident.kind == "instance":
        return how_it_ended(incident)
    if incident.cause == CRASHING:
        return f"it has not died again for {span(settings.FLAP_WINDOW)}"
    if incident.kind == LOG:
        return f"it has not written so many such lines for {span(settings.FLAPPING_CLEAN)}"
    if incident.kind == RESOURCES:
        return "the kernel has killed no process of it since"
    return "it has passed"


def deliver_what_is_held(outside: Outside, watch: Monitor) -> None:
    """Send what there is to tell before this process ends, waiting for what is held a moment longer.

    Takes little more than DOCKMGR_HOLD, and no time when there is nothing to tell or no channel.
    """
    until = outside.clock.now() + timedelta(seconds=settings.HOLD) + AFTER_HOLD
    while Channel.objects.filter(enabled=True).exists():
        watch.tick()
        outbox.deliver(outside.clock)
        now, due = outside.clock.now(), outbox.due_at()
        if due is None or max(due, now) > until:
            return
        outside.clock.sleep(max(STEP, (due - now).total_seconds()))
