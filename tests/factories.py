"""A small fleet for tests: rows in the database with the containers that belong to them on a fake engine."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
from msgspec import structs

from instances.checks.check_requests import CheckRequest, request_as_listed
from instances.checks.observe import Check
from instances.checks.policy import policy
from instances.containers.spec import container_name, labels_for, volume_name
from instances.fleet import bulk
from instances.health.response import Outcome, sentence
from instances.health.state import Observation, State, Status
from instances.incidents.from_health import HealthChange, apply_health_changes
from instances.incidents.lifecycle import Alarm, open_incident
from instances.incidents.rules import host_key
from instances.models import Bulk, FreedPort, Health, Host, Incident, Instance, Operation, Plan, Port
from instances.operations import service
from instances.operations.journal import Journal
from instances.operations.procedures import provision as provisioning
from instances.operations.requester import at_machine
from instances.operations.steps import network
from tests.fakes.facts import image_facts
from tests.fakes.outside import FakeClock, FakeOutside, FakeProbe, HostEngine

IMAGE = "registry.example.com/agent:1.0"
SECRET = "s3ntinel-Zq8#x/+value"
MINUTE = timedelta(minutes=1)
FAILED = {
    "info": State(Status.SUSPECT, failures=1),
    "warning": State(Status.UNHEALTHY, failures=3),
    "critical": State(Status.FAILED, failures=6, restarts_used=3),
}
ASKED = at_machine("tests", "to see")
PORTS = " UNION ".join(
    f"SELECT number FROM {model._meta.db_table} WHERE host_id = %s" for model in (Port, FreedPort)
)


@dataclass
class World:
    """One plan, one host, and the outside they live in."""

    outside: FakeOutside
    plan: Plan
    host: Host

    @property
    def clock(self) -> FakeClock:
        return self.outside.clock

    @property
    def probe(self) -> FakeProbe:
        return self.outside.probe

    @property
    def engine(self) -> HostEngine:
        return self.outside.hosts[self.host.engine_url]

    @property
    def now(self) -> datetime:
        return self.clock.now()

    def instance(self, customer_id: str = "c1", *, host: Host | None = None, **health: Any) -> Instance:
        """A provisioned instance that has been well for an hour; `health` are columns of its health."""
        instance = Instance(
            customer_id=customer_id,
            subdomain=f"{customer_id}.example.com",
            plan=self.plan,
            host=host or self.host,
            env={"API_KEY": SECRET},
            image_id=image_facts("agent-1").id,
            provisioned_at=self.now,
        )
        instance.port = _free_port(instance.host)
        instance.container_id = self._run(instance)
        instance.save()
        Port.objects.create(host=instance.host, number=instance.port, instance=instance)
        well = {"status": "healthy", "last_healthy_at": self.now - timedelta(minutes=1)}
        Health.objects.create(instance=instance, **{**well, **health})
        return instance

    def _run(self, instance: Instance) -> str:
        engine = self.engine_of(instance)
        network.ready(engine, instance.host.network)
        engine.create_volume(instance.volume_name, labels_for(instance.customer_id, self.plan.name))
        identity = engine.create(replace(instance.spec(), image=IMAGE))
        engine.start(identity)
        engine.change(identity, started_at=self.now - timedelta(hours=1))
        del engine.starts[instance.container_name]
        return identity

    def stranger_takes_over(self, instance: Instance) -> None:
        """Somebody replaced the container by one of the same name that is not ours."""
        self.engine.lose(instance.container_name)
        self.engine.create(replace(instance.spec(), image=IMAGE, labels={}, host_port=0))
        self.engine.start(instance.container_name)
        del self.engine.starts[instance.container_name]

    def engine_of(self, instance: Instance) -> HostEngine:
        engine = self.outside.hosts[instance.host.engine_url]
        engine.images.setdefault(IMAGE, image_facts("agent-1"))
        return engine

    def incident(self, instance: Instance, severity: str = "warning", **columns: Any) -> Incident:
        """The incident of an instance that failed for a minute, as the product writes it.

        `columns` are what else came to be written.
        """
        [incident] = self.incidents([instance], severity)
        return _with(incident, columns)

    def incidents(self, instances: Sequence[Instance], severity: str = "warning") -> list[Incident]:
        """The incidents of many instances that have failed together for a minute, and had none open."""
        assert not Incident.objects.open().filter(instance__in=instances).exists()
        before, after = State(Status.HEALTHY), structs.replace(FAILED[severity], down_since=self.now - MINUTE)
        cause = ("refused", sentence("refused"))
        changes = [HealthChange(instance.pk, before, after, *cause) for instance in instances]
        with transaction.atomic():
            apply_health_changes(changes, policy(), self.now)
        return list(Incident.objects.open().filter(instance__in=instances).order_by("pk"))

    def host_incident(self, host: Host | None = None, **columns: Any) -> Incident:
        """The incident of a host (the usual one) whose engine is out of reach."""
        host, message = host or self.host, "The engine does not answer."
        key = host_key(host.name)
        alarm = Alarm(key, "host", "engine", message, host=host)
        return _with(open_incident(alarm, self.now), columns)

    def large_incident(self, key: str, cause: str = "hosts", **columns: Any) -> Incident:
        """The incident of the fleet or of dockmgr itself."""
        message = "Half of all hosts are in trouble."
        return _with(open_incident(Alarm(key, key, cause, message), self.now), columns)

    def order(self, customer_id: str = "new", **changes: Any) -> provisioning.ProvisionRequest:
        usual = provisioning.ProvisionRequest(
            customer_id, f"{customer_id}.example.com", self.plan.name, {"API_KEY": SECRET}
        )
        return replace(usual, **changes)

    def provision(self, customer_id: str = "new", **changes: Any) -> Operation:
        order = self.order(customer_id, **changes)
        return service.run_to_end(service.begin_provision(order, ASKED, self.outside).pk, self.outside)

    def restart(self, customer_id: str = "c1") -> Operation:
        return service.run_to_end(service.begin_restart(customer_id, ASKED, self.outside).pk, self.outside)

    def decommission(self, customer_id: str = "c1", *, purge_data: bool = False) -> Operation:
        operation = service.begin_decommission(
            customer_id, ASKED, purge_data=purge_data, outside=self.outside
        )
        return service.run_to_end(operation.pk, self.outside)

    def nothing_is_left_of(self, customer_id: str) -> bool:
        return not (
            container_name(customer_id) in self.engine.containers
            or volume_name(customer_id) in self.engine.volumes
            or Instance.objects.filter(customer_id=customer_id).exists()
            or Health.objects.filter(instance__customer_id=customer_id).exists()
            or Port.objects.filter(instance__customer_id=customer_id).exists()
        )


def _free_port(host: Host) -> int:
    """The one that provisioning would take, in one query: it has nobody to share the ports with."""
    with connection.cursor() as cursor:
        cursor.execute(PORTS, [host.pk, host.pk])
        known = {number for (number,) in cursor.fetchall()}
    return next(number for number in range(host.first_port, host.last_port + 1) if number not in known)


def _with(incident: Incident, columns: dict[str, Any]) -> Incident:
    Incident.objects.filter(pk=incident.pk).update(**columns)
    incident.refresh_from_db()
    return incident


def health_of(instance: Instance) -> Health:
    return Health.objects.get(pk=instance.pk)


def a_check(
    world: World,
    instance: Instance,
    outcome: Outcome = Outcome.OK,
    reason: str = "",
    sweep_id: str | None = None,
    **changes: Any,
) -> Check:
    """What a probe of half a second, ending now, saw of an instance."""
    request = request_as_listed(instance, world.outside.engines, sweep_id)
    seen = Observation(
        outcome=outcome,
        reason=reason,
        error=sentence(reason),
        started_at=world.now - timedelta(seconds=0.5),
        finished_at=world.now,
        container_id=instance.container_id,
    )
    return Check(request, structs.replace(seen, **changes))


def a_failure(
    world: World, instance: Instance, reason: str = "refused", sweep_id: str | None = None, **changes: Any
) -> Check:
    return a_check(world, instance, Outcome.FAIL, reason, sweep_id, **changes)


def about(check: Check, **changes: Any) -> Check:
    """The same check with another request."""
    request: CheckRequest = structs.replace(check.request, **changes)
    return structs.replace(check, request=request)


def interrupt(operation: Operation, world: World) -> Journal:
    """A process works on the operation, in a step that cuts the customer off."""
    held = Journal.claim(operation.pk, world.clock)
    assert held
    step = next(step for step in service.procedure_of(operation).steps if step.interrupts)
    held.begin(step.name, interrupts=True)
    return held


def an_order(verb: str, keys: Iterable[int], by: str = "x", reason: str = "y") -> Bulk:
    """A selection's order, as its form gives it."""
    return bulk.create_bulk(uuid.uuid4(), verb, keys, by=by, reason=reason)[0]
