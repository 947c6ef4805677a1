"""A fleet of three whose life is drawn at random: what can happen, and what must hold whatever happens."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from instances.alerts import mute
from instances.errors import BusyError, DockmgrError, RequestError
from instances.fleet import sweep
from instances.health.state import Status
from instances.incidents.acknowledge import acknowledge
from instances.incidents.rules import Severity
from instances.models import Channel, Health, Incident, Instance, Mute, Notification, Operation
from instances.monitoring.loop import Monitor
from instances.operations import service
from instances.operations.procedures import restart
from tests.factories import World
from tests.fakes.outside import Killed, fails, passes, starts

CUSTOMERS = ("c1", "c2", "c3")
SICKNESSES = ("http_503", "http_500", "timeout", "starting", "exited", "missing")
CHANNELS = (("all", "info"), ("ops", "warning"), ("pager", "critical"))
LULL = timedelta(minutes=40)  # longer than any hold, grace or clean time
AFTERMATH = (10, 31, 31, 61, 61, 301, 301, 601)  # seconds between rounds: past the hold, past the deadline

customers = st.sampled_from(CUSTOMERS)


class Life(RuleBasedStateMachine):
    """Checks, restarts, acknowledgements, mutes, crashes, outages of the host and steps of the clock.

    Every rule is real code over a database; only the engine, the probes and the time are made up.
    """

    def __init__(self, make_world: Callable[[], World]) -> None:
        super().__init__()
        self._undo = transaction.atomic()
        self._undo.__enter__()
        self.world = make_world()
        self.instances = {name: self.world.instance(name) for name in CUSTOMERS}
        for name, level in CHANNELS:
            Channel.objects.create(name=name, url="json://127.0.0.1/hook", min_level=level)
        self.watch = Monitor(self.world.outside)
        self.worst: dict[int, int] = {}
        self.judged = 0

    # --- what can happen -------------------------------------------------------------------

    @rule(customer=customers, sickness=st.sampled_from(SICKNESSES))
    def falls_ill(self, customer: str, sickness: str) -> None:
        instance = Instance.objects.get(customer_id=customer)
        engine, name = self.world.engine, instance.container_name
        if name not in engine.containers:
            return
        if sickness == "missing":
            engine.lose(name)
        elif sickness == "exited":
            engine.change(name, state="exited")
        else:
            answer = starts() if sickness == "starting" else fails(sickness)
            self.world.probe.answers[instance.port or 0] = answer

    @rule(customer=customers)
    def heals_by_itself(self, customer: str) -> None:
        self._mend(Instance.objects.get(customer_id=customer))

    @rule(seconds=st.sampled_from((1.0, 5.0, 30.0, 61.0, 300.0, 700.0)), times=st.integers(1, 4))
    def time_passes(self, seconds: float, times: int) -> None:
        for _ in range(times):
            self.world.clock.advance(seconds)
            self._work()

    @rule(seconds=st.sampled_from((0.5, 3.0, 40.0)))
    def the_clock_steps_back(self, seconds: float) -> None:
        self.world.clock.advance(-seconds)

    @rule()
    def a_sweep(self) -> None:
        self._check(Instance.objects.active().select_related("plan", "host"))

    @rule(customer=customers, moment=st.integers(0, 12))
    def a_restart_whose_worker_dies(self, customer: str, moment: int) -> None:
        self.world.outside.fate.strikes_at(moment)
        try:
            self.world.restart(customer)
        except (Killed, BusyError):
            pass
        finally:
            self.world.outside.fate.spares()

    @rule(customer=customers)
    def a_restart_by_hand(self, customer: str) -> None:
        try:
            self.world.restart(customer)
        except BusyError:
            return

    @rule()
    def the_host_goes(self) -> None:
        self.world.engine.unreachable = True

    @rule()
    def the_host_comes_back(self) -> None:
        self._host_back()

    @rule(data=st.data())
    def somebody_acknowledges(self, data: st.DataObject) -> None:
        known = list(Incident.objects.order_by("pk").values_list("pk", flat=True))
        if known:
            try:
                acknowledge(data.draw(st.sampled_from(known)), "ann", self.world.now)
            except RequestError:
                return

    @rule(customer=customers, minutes=st.sampled_from((1, 10, 60)))
    def somebody_mutes(self, customer: str, minutes: int) -> None:
        until = self.world.now + timedelta(minutes=minutes)
        mute.mute(mute.scope(customer_id=customer), until, self.world.now, by="ann", reason="work")

    @rule(customer=customers)
    def somebody_unmutes(self, customer: str) -> None:
        mute.unmute(mute.scope(customer_id=customer), self.world.now, by="ann")

    @rule(customer=customers, resume=st.booleans())
    def somebody_pauses_or_resumes(self, customer: str, resume: bool) -> None:
        try:
            (service.resume if resume else service.pause)(customer)
        except BusyError:
            return

    # --- how the workers go on -------------------------------------------------------------

    def _work(self) -> None:
        """What beat, workers and the watch do in a while."""
        service.recover(self.world.outside)
        due = sweep.claim_due(self.world.now)
        if due:
            self._check(due)
        self.watch.ask()
        self.watch.tick()

    def _check(self, instances: Any) -> None:
        for recorded in list(sweep.check_here(list(instances), self.world.outside)):
            if recorded.verdict and recorded.verdict.restart:
                self._heal(recorded.check.request.instance_id)

    def _heal(self, instance_id: int) -> None:
        operation = restart.begin_automatic(instance_id, self.world.now)
        if operation is not None:
            try:
                service.run_to_end(operation.pk, self.world.outside)
            except DockmgrError:
                return

    def _mend(self, instance: Instance) -> None:
        self.world.probe.answers[instance.port or 0] = passes()
        name = instance.container_name
        if name in self.world.engine.containers:
            self.world.engine.change(name, state="running")

    def _host_back(self) -> None:
        self.world.engine.unreachable = False

    # --- what must hold --------------------------------------------------------------------

    @invariant()
    def no_key_has_two_open_incidents(self) -> None:
        keys = Counter(Incident.objects.open().values_list("key", flat=True))
        assert all(number == 1 for number in keys.values()), keys

    @invariant()
    def severity_never_falls(self) -> None:
        for number, severity in Incident.objects.values_list("pk", "severity"):
            rank = Severity(severity).rank
            assert rank >= self.worst.get(number, 0)
            self.worst[number] = rank

    @invariant()
    def an_instance_is_down_exactly_while_its_incident_is_open(self) -> None:
        open_ones = Incident.objects.open().filter(kind="instance")
        told_down = set(open_ones.exclude(down_since=None).values_list("instance_id", flat=True))
        down = set(Health.objects.exclude(down_since=None).values_list("instance_id", flat=True))
        assert told_down == down

    @invariant()
    def what_does_not_help_is_not_restarted_more_often_than_the_budget(self) -> None:
        """No life lasts long enough for two slow attempts."""
        for incident in Incident.objects.filter(kind="instance"):
            own = Operation.objects.filter(
                customer_id=incident.customer_id, kind="restart", automatic=True,
                created_at__gte=incident.opened_at, created_at__lte=incident.resolved_at or self.world.now,
            )  # fmt: skip
            in_vain = own.exclude(facts__host_trouble=True).exclude(status="succeeded")
            assert in_vain.count() <= settings.RESTART_LIMIT + 1

    @invariant()
    def nothing_is_told_twice_in_a_row(self) -> None:
        last: defaultdict[tuple[int, int | None], str] = defaultdict(str)
        for message in Notification.objects.exclude(kind__in=("reminder", "digest")).order_by("created_at"):
            place = (message.channel_id, message.incident_id)
            said = f"{message.kind} {message.level}"
            assert last[place] != said, (place, said)
            last[place] = said

    @invariant()
    def nothing_is_said_inside_a_mute(self) -> None:
        fresh = Notification.objects.exclude(incident=None).select_related("incident")
        for message in fresh.order_by("created_at")[self.judged :]:
            self.judged += 1
            assert message.incident is not None
            mutes = Mute.objects.filter(instance_id=message.incident.instance_id or 0)
            assert not mutes.filter(starts_at__lte=message.created_at, until__gt=message.created_at).exists()

    always = (
        no_key_has_two_open_incidents, severity_never_falls,
        what_does_not_help_is_not_restarted_more_often_than_the_budget,
        an_instance_is_down_exactly_while_its_incident_is_open, nothing_is_told_twice_in_a_row,
        nothing_is_said_inside_a_mute,
    )  # fmt: skip

    def teardown(self) -> None:
        """Once all is well again and stays so, every incident ends, and everybody who was told knows."""
        try:
            self._go_on()
            self._come_to_rest()
            assert list(Incident.objects.open()) == []
            states = Health.objects.values_list("instance__customer_id", "status")
            assert set(dict(states).values()) == {Status.HEALTHY.value}, dict(states)
        finally:
            transaction.set_rollback(True)
            self._undo.__exit__(None, None, None)

    def _go_on(self) -> None:
        """Time passes and nothing else happens: what has begun is told, escalates, is healed or given up."""
        for seconds in AFTERMATH:
            self.world.clock.advance(seconds)
            self._work()
            for holds in self.always:
                holds(self)

    def _wait_for_leases(self) -> None:
        """Those who died hold their operations for a while, longer where the clock stepped back since."""
        for _ in range(60):
            self.world.clock.advance(60)
            service.recover(self.world.outside)
            if not Operation.objects.filter(finished_at=None).exists():
                return

    def _come_to_rest(self) -> None:
        self._host_back()
        self._wait_for_leases()
        for instance in Instance.objects.all():
            self._mend(instance)
            mute.unmute(mute.scope(customer_id=instance.customer_id), self.world.now, by="ann")
            service.resume(instance.customer_id)
            self.world.restart(instance.customer_id)
        until = self.world.now + LULL
        while self.world.now < until:
            for instance in Instance.objects.all():
                self._mend(instance)
            self.world.clock.advance(300)
            self._work()
            self._check(Instance.objects.active().select_related("plan", "host"))
