"""A fleet of three whose life is drawn at random: what can happen, and what must hold whatever happens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from django.db import transaction
from hypothesis import strategies as st
from hypothesis.stateful import rule

from instances.alerts import mute
from instances.checks.due import claim_due
from instances.checks.roster import Roster
from instances.errors import BusyError, RequestError
from instances.fleet import sweep
from instances.health.state import Status
from instances.incidents.acknowledge import acknowledge
from instances.models import Channel, Health, Host, Incident, Instance, Operation
from instances.monitoring.loop import Monitor
from instances.operations import service
from instances.operations.procedures import restart
from tests.exhaustive.havoc import CUSTOMERS, NEW, OLD, any_host, customers
from tests.exhaustive.promises import Promises
from tests.exhaustive.share import ON_POSTGRES, forget_everything
from tests.factories import ASKED, World
from tests.fakes.outside import Killed, fails, starts

SICKNESSES = ("http_503", "http_500", "timeout", "starting", "exited", "missing")
CHANNELS = (("all", "info"), ("ops", "warning"), ("pager", "critical"))
LULL = timedelta(minutes=40)  # longer than any hold, grace or clean time
HOUR = 3600.0  # seconds
AFTERMATH = (10, 31, 31, 61, 61, 301, 301, 601)  # seconds between rounds: past the hold, past the deadline
BOUND = timedelta(minutes=20)  # an operation whose engine answers is over by then


class Life(Promises):
    """Checks, restarts, acknowledgements, mutes, crashes, outages of hosts and steps of the clock.

    Every rule is real code over a database; only the engine, the probes and the time are made up.
    """

    def __init__(self, make_world: Callable[[], World]) -> None:
        super().__init__()
        self._undo = transaction.atomic()
        if not ON_POSTGRES:
            self._undo.__enter__()
        self.world = make_world()
        self.hosts = {"local": self.world.host, "second": a_second_host()}
        self.engines = {name: self.world.outside.hosts[host.engine_url] for name, host in self.hosts.items()}
        self.instances = {
            name: self.world.instance(name, host=self.hosts["second" if name == "c3" else "local"])
            for name in CUSTOMERS
        }
        self._prepare_engines()
        for name, level in CHANNELS:
            Channel.objects.create(name=name, url="json://127.0.0.1/hook", min_level=level)
        self.watch = Monitor(self.world.outside)
        self._begin_to_look()

    # --- what can happen -------------------------------------------------------------------

    @rule(customer=customers, sickness=st.sampled_from(SICKNESSES))
    def falls_ill(self, customer: str, sickness: str) -> None:
        instance = Instance.objects.select_related("host").get(customer_id=customer)
        engine, name = self.engine_of(instance), instance.container_name
        if name not in engine.containers:
            return
        if sickness == "missing":
            engine.lose(name)
        elif sickness == "exited":
            engine.change(name, state="exited")
        else:
            answer = starts() if sickness == "starting" else fails(sickness)
            self.sick[instance.port or 0] = answer

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
        self.world.clock.step(-seconds)

    @rule()
    def a_sweep(self) -> None:
        self._check(Roster.of_active())

    @rule(customer=customers, moment=st.integers(0, 12))
    def a_restart_whose_worker_dies(self, customer: str, moment: int) -> None:
        self.world.outside.fate.strikes_at(moment)
        try:
            self._restart(customer)
        except (Killed, BusyError):
            pass
        finally:
            self.world.outside.fate.spares()

    @rule(customer=customers)
    def a_restart_by_hand(self, customer: str) -> None:
        try:
            self._restart(customer)
        except BusyError:
            return

    def _restart(self, customer: str) -> None:
        self._carry_on(service.begin_restart(customer, ASKED, self.world.outside))

    @rule(host=any_host)
    def a_host_goes(self, host: str) -> None:
        self.engines[host].unreachable = True

    @rule(host=any_host)
    def a_host_comes_back(self, host: str) -> None:
        self.engines[host].unreachable = False

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

    @rule(hours=st.sampled_from((-5, -1, 1, 2, 30)), customer=customers)
    def a_process_with_a_wrong_clock_works(self, hours: int, customer: str) -> None:
        with self._stepped(hours * HOUR):
            self._work()
            self._check(Roster.of_rows([self.instances[customer]]))

    @contextmanager
    def _stepped(self, seconds: float) -> Iterator[None]:
        self.world.clock.step(seconds)
        try:
            yield
        finally:
            self.world.clock.step(-seconds)

    # --- how the workers go on -------------------------------------------------------------

    def _work(self) -> None:
        """What beat, workers and the watch do in a while."""
        service.recover(self.world.outside)
        due = claim_due(self.world.now)
        if due:
            self._check(due)
        self.watch.ask()
        self.watch.tick()

    def _check(self, roster: Roster) -> None:
        for recorded in list(sweep.check_here(roster, self.world.outside)):
            if recorded.verdict and recorded.verdict.restart:
                self._heal(recorded.check.request.instance_id)

    def _heal(self, instance_id: int) -> None:
        operation = restart.begin_automatic(instance_id, self.world.now)
        if operation is not None:
            self._carry_on(operation)

    def _mend(self, instance: Instance) -> None:
        """Its program is well again; who started it beside an operation would make two of it."""
        self.sick.pop(instance.port or 0, None)
        engine, busy = self.engine_of(instance), Operation.objects.filter(instance=instance, finished_at=None)
        if instance.container_id in self._with_data_of(instance) and not busy.exists():
            engine.change(instance.container_id, state="running")

    def _hosts_back(self) -> None:
        for host, engine in self.engines.items():
            self.the_known_engine_is_back(host)
            engine.unreachable = False

    def teardown(self) -> None:
        """Once all is well again and stays so, every incident ends, and everybody who was told knows."""
        try:
            self._go_on()
            self._come_to_rest()
            self.each_has_one_container_with_its_data()
            left = list(Incident.objects.open().values())
            assert left == [], left
            states = Health.objects.values_list("instance__customer_id", "status")
            assert set(dict(states).values()) == {Status.HEALTHY.value}, dict(states)
        finally:
            self.defects.close()
            self._forget()

    def _forget(self) -> None:
        if ON_POSTGRES:
            forget_everything()
        else:
            transaction.set_rollback(True)
            self._undo.__exit__(None, None, None)

    def _go_on(self) -> None:
        """Time passes and nothing else happens: what has begun is told, escalates, is healed or given up."""
        for seconds in AFTERMATH:
            self.world.clock.advance(seconds)
            self._work()
            for holds in self.always:
                holds(self)

    def _wait_for_operations(self) -> None:
        """Those who died hold their operations for a while, and lines go on losing words."""
        until = self.world.now + BOUND
        while Operation.objects.filter(finished_at=None).exists():
            assert self.world.now < until, list(Operation.objects.filter(finished_at=None).values())
            self.world.clock.advance(30)
            self._work()

    def _come_to_rest(self) -> None:
        self._hosts_back()
        self._wait_for_operations()
        self.world.outside.fate.line.percent = 0
        for instance in Instance.objects.select_related("host"):
            self._help(instance)
        until = self.world.now + LULL
        while self.world.now < until:
            for instance in Instance.objects.select_related("host"):
                self._mend(instance)
            self.world.clock.advance(300)
            self._work()
            self._check(Roster.of_active())

    def _help(self, instance: Instance) -> None:
        """A person does what dockmgr says is to be done, with dockmgr's own means alone."""
        mute.unmute(mute.scope(customer_id=instance.customer_id), self.world.now, by="ann")
        service.resume(instance.customer_id)
        self.sick.clear()
        for image in (OLD, NEW):
            self.engine_of(instance).images.setdefault(image.digests[0], image)
        anew = instance.volume_name not in self.engine_of(instance).volumes
        assert anew is (instance.customer_id in self.lost), instance.customer_id
        if anew:
            refused = self._restarted(instance)
            assert (refused.status, refused.instance.health.reason) == ("failed", "data_missing")
        done = self._restarted(instance, with_empty_data=anew)
        assert done.status == "succeeded", done.error

    def _restarted(self, instance: Instance, **how: bool) -> Any:
        asked = service.begin_restart(instance.customer_id, ASKED, self.world.outside, **how)
        return service.run_to_end(asked.pk, self.world.outside)


def a_second_host() -> Host:
    [host] = Host.objects.bulk_create(
        [Host(name="second", docker_url="unix:///fake/two.sock", first_port=25000, last_port=25999)]
    )
    return host
