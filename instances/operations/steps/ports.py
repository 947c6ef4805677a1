"""Host ports of an instance: reserved in the database, its constraint decides who has one."""

from __future__ import annotations

from collections.abc import Container

from django.db import IntegrityError, transaction

from instances.errors import PermanentError
from instances.models import FreedPort, Host, Instance, Port
from instances.operations.placement_rules import ports_in_order
from instances.operations.procedure import Work


def reserve(host: Host, instance: Instance, after: int | None = None) -> int:
    """Reserve a free port of the host's range for an instance, the least recently used one, and not `after`.

    Two reservations at the same moment can't get the same port: the table's constraint decides,
    and the loser takes the next. Raises PermanentError when none is left.
    """
    taken = set(Port.objects.filter(host=host).values_list("number", flat=True))
    freed = dict(FreedPort.objects.filter(host=host).values_list("number", "freed_at"))
    for number in ports_in_order(host.first_port, host.last_port, taken, freed, after or 0):
        try:
            with transaction.atomic():
                Port.objects.create(host=host, number=number, instance=instance)
        except IntegrityError:
            continue
        return number
    raise PermanentError(f"Host {host.name} has no free port left between its first and last port.")


def reserve_further(host: Host, instance: Instance) -> bool:
    """Reserve a port for each of the plan's `ports` that has none yet; whether there was one."""
    held = instance.further_ports
    missing = [port for port in instance.plan.options.get("ports", ()) if port not in held]
    instance.further_ports = {**held, **{port: reserve(host, instance) for port in missing}}
    return bool(missing)


def complete(work: Work) -> None:
    """Reserve what the plan has come to publish since the last container was made."""
    instance = work.instance
    if instance.adopted is None and set(instance.plan.options.get("ports", ())) - set(instance.further_ports):
        with work.journal.holding():
            reserve_further(instance.host, instance)
            instance.save(update_fields=["further_ports"])


def move_all(work: Work) -> None:
    """Other ports, higher ones as long as there are, in place of those something else on the host holds."""
    instance = work.instance
    before = [instance.port or 0, *instance.further_ports.values()]
    with work.journal.holding():
        instance.port = reserve(instance.host, instance, after=instance.port)
        instance.further_ports = {
            port: reserve(instance.host, instance, after=held)
            for port, held in instance.further_ports.items()
        }
        instance.save(update_fields=["port", "further_ports"])
        Port.objects.filter(host=instance.host, number__in=before, instance=instance).delete()


def move_further(work: Work, kept: Container[int]) -> bool:
    """Other ports in place of the further ports that are not `kept`; whether there were any."""
    instance = work.instance
    moved = {port: held for port, held in instance.further_ports.items() if held not in kept}
    if moved:
        with work.journal.holding():
            others = {port: reserve(instance.host, instance, after=held) for port, held in moved.items()}
            instance.further_ports = {**instance.further_ports, **others}
            instance.save(update_fields=["further_ports"])
            Port.objects.filter(host=instance.host, number__in=moved.values(), instance=instance).delete()
    return bool(moved)


def follow(work: Work, number: int) -> None:
    """Have the instance asked at the host's port that its container is found to be published on."""
    instance = work.instance
    work.journal.remember(new_port=number)
    with work.journal.holding():
        Port.objects.filter(instance=instance, number=instance.port or 0).delete()
        Port.objects.get_or_create(host=instance.host, number=number, defaults={"instance": instance})
        instance.port = number
        instance.save(update_fields=["port"])


def is_free_for(instance: Instance, number: int) -> bool:
    """Whether no other instance has the port of its host."""
    return not Port.objects.filter(host=instance.host, number=number).exclude(instance=instance).exists()


def release_unpublished(work: Work) -> None:
    """Give back the ports the plan does not publish any more."""
    instance = work.instance
    wanted = instance.plan.options.get("ports", ())
    gone = {port: held for port, held in instance.further_ports.items() if port not in wanted}
    if gone:
        instance.further_ports = {p: n for p, n in instance.further_ports.items() if p not in gone}
        with work.journal.holding():
            instance.save(update_fields=["further_ports"])
            Port.objects.filter(host=instance.host, number__in=gone.values(), instance=instance).delete()
