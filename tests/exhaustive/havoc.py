"""What other people, other engines and wrong clocks do to a fleet, and what they did of it."""

from __future__ import annotations

from collections import Counter
from functools import partial

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from instances.errors import BusyError, DockmgrError, RequestError
from instances.http.probe import ProbeResult
from instances.models import Host, Instance, Operation
from instances.operations import service
from instances.operations.attempts import TryAgain
from tests.exhaustive.share import HOSTILE
from tests.factories import ASKED, IMAGE, World
from tests.fakes.facts import image_facts
from tests.fakes.outside import HostEngine, Killed, fails, passes

CUSTOMERS = ("c1", "c2", "c3")
HOSTS = ("local", "second")
OLD, NEW, BAD = (image_facts(f"agent-{name}") for name in ("1", "2", "bad"))
BAD_REF = "registry.example.com/agent:bad"
MARK = "whose"  # what the data of a customer is known by

customers = st.sampled_from(CUSTOMERS)
any_host = st.sampled_from(HOSTS)


class Havoc(RuleBasedStateMachine):
    """Rules that happen to engines. `lost` are the customers whose data somebody destroyed."""

    world: World
    hosts: dict[str, Host]
    engines: dict[str, HostEngine]
    instances: dict[str, Instance]

    def _prepare_engines(self) -> None:
        self.lost: set[str] = set()
        self.sick: dict[int, ProbeResult] = {}
        self._away: dict[str, dict[str, object]] = {}
        self.world.outside.fate.line.percent = 5
        for name, host in self.hosts.items():
            engine = self.engines[name]
            engine.speaks = HOSTILE
            engine.registry |= {IMAGE: NEW, BAD_REF: BAD}
            engine.registry |= {image.digests[0]: image for image in (OLD, NEW, BAD)}
            type(host).objects.filter(pk=host.pk).update(engine_id=engine.identity)
        for instance in self.instances.values():
            type(instance).objects.filter(pk=instance.pk).update(image_digest=OLD.digests[0])
            self.engine_of(instance).volumes[instance.volume_name][MARK] = instance.customer_id
            self.world.probe.answers[instance.port or 0] = partial(self._answer, instance)

    def engine_of(self, instance: Instance) -> HostEngine:
        return self.engines[instance.host.name]

    def _answer(self, instance: Instance) -> ProbeResult:
        """A bad image answers badly whatever else is the matter."""
        running = _running(self.engine_of(instance), instance)
        if BAD.id in running.values():
            return fails("http_503")
        return self.sick.get(instance.port or 0, passes())

    # --- what can happen -------------------------------------------------------------------

    @rule(host=any_host, what=st.sampled_from(("containers", "containers", "images", "volumes")))
    def somebody_prunes(self, host: str, what: str) -> None:
        engine = self.engines[host]
        held = [facts for name in engine.containers if (facts := engine.inspect_here(name))]
        if what == "containers":
            for facts in held:
                if facts.state not in ("running", "paused", "restarting"):
                    engine.lose(facts.id)
        elif what == "images":
            used = {facts.image_id for facts in held}
            engine.images = {ref: image for ref, image in engine.images.items() if image.id in used}
        else:
            used = {name for facts in held for name in facts.volumes}
            self._destroy(engine, [name for name in engine.volumes if name not in used])

    @rule(customer=customers)
    def somebody_removes_all_of_a_customer(self, customer: str) -> None:
        """Container and volume, as when the wrong folder is cleaned."""
        instance = self.instances[customer]
        engine = self.engine_of(instance)
        for identity in self._with_data_of(instance):
            engine.lose(identity)
        self._destroy(engine, [instance.volume_name])

    @rule(customer=customers)
    def somebody_renames_a_container(self, customer: str) -> None:
        """As compose does with what it is about to replace."""
        instance = Instance.objects.get(pk=self.instances[customer].pk)
        engine, busy = (
            self.engines[self.instances[customer].host.name],
            Operation.objects.filter(finished_at=None),
        )
        if instance.container_id in self._with_data_of(instance) and not busy.exists():
            engine.change(instance.container_id, name=f"c0ffee_{instance.container_name}")

    def _destroy(self, engine: HostEngine, volumes: list[str]) -> None:
        for name in volumes:
            whose = engine.volumes.pop(name, {}).get(MARK)
            if whose:
                self.lost.add(whose)

    @rule(host=any_host)
    def another_engine_answers(self, host: str) -> None:
        if host in self._away or self.engines[host].unreachable:
            return
        engine = self.engines[host]
        self.world.clock.advance(2)  # nobody changes an engine for another one faster
        self._away[host] = dict(vars(engine))
        vars(engine).update(vars(HostEngine(self.world.clock.now)))

    @rule(host=any_host)
    def the_known_engine_is_back(self, host: str) -> None:
        if host in self._away:
            engine = self.engines[host]
            assert (engine.containers, engine.volumes) == ([], {}), "something was made on a strange engine"
            self.world.clock.advance(2)
            vars(engine).update(self._away.pop(host))

    @rule(customer=customers, image=st.sampled_from((None, BAD_REF)), moment=st.integers(0, 120))
    def an_update_whose_worker_may_die(self, customer: str, image: str | None, moment: int) -> None:
        self.world.outside.fate.strikes_at(moment)
        try:
            operation = service.begin_update(customer, ASKED, image=image, outside=self.world.outside)
            self._carry_on(operation)
        except (Killed, BusyError, RequestError):
            pass
        finally:
            self.world.outside.fate.spares()

    def _carry_on(self, operation: Operation, tries: int = 8) -> None:
        """As a worker does: what can't go on now is left to whoever comes later."""
        for _ in range(tries):
            try:
                service.run_once(operation.pk, self.world.outside)
            except TryAgain as later:
                self.world.clock.advance(later.seconds + 0.1)
            except DockmgrError:
                return
            else:
                return

    # --- what is there ---------------------------------------------------------------------

    def _with_data_of(self, instance: Instance) -> list[str]:
        engine = self.engine_of(instance)
        held = (engine.inspect_here(name) for name in engine.containers)
        return [facts.id for facts in held if facts and instance.volume_name in facts.volumes]

    def each_volume_has_one_writer(self) -> None:
        for instance in self.instances.values():
            assert len(_running(self.engine_of(instance), instance)) <= 1, instance.customer_id

    def only_what_was_chosen_is_in_service(self) -> None:
        known = dict(Instance.objects.values_list("customer_id", "image_id"))
        assert set(known.values()) <= {OLD.id, NEW.id}, known

    def each_has_one_container_with_its_data(self) -> None:
        """In the end: what runs is what is recorded, alone, with the data it had."""
        for name in CUSTOMERS:
            instance = Instance.objects.select_related("host").get(customer_id=name)
            engine = self.engine_of(instance)
            assert self._with_data_of(instance) == [instance.container_id], name
            facts = engine.inspect_here(instance.container_id)
            assert facts
            assert (facts.name, facts.state, facts.image_id) == (
                instance.container_name, "running", instance.image_id,
            )  # fmt: skip
            whose = engine.volumes[instance.volume_name].get(MARK)
            assert (whose == name) is (name not in self.lost), (name, whose, self.lost)
        names = [n for engine in self.engines.values() for n in engine.containers]
        assert Counter(names) == {self.instances[name].container_name: 1 for name in CUSTOMERS}


def _running(engine: HostEngine, instance: Instance) -> dict[str, str]:
    """Running containers that mount an instance's data, with their images."""
    held = (engine.inspect_here(name) for name in engine.containers)
    return {
        facts.id: facts.image_id
        for facts in held
        if facts and facts.state == "running" and instance.volume_name in facts.volumes
    }
