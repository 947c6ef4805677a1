"""Which host a new instance goes to: the one asked for, or the best one with room that answers."""

from __future__ import annotations

from django.db.models import Count, Q, Sum

from instances import lookup
from instances.db.locks import locked
from instances.errors import EngineUnreachable, OutOfReachError, RequestError
from instances.models import Host, HostWatch
from instances.operations import placement_rules as rules
from instances.outside import Outside, engine_address

NO_ENGINE = "No host with room has an engine that answers"
NO_ROOM = "No host has room for another instance"
CHOICES = 20  # how often a better host is looked for when others are quicker


class Placement:
    """One order's way to a host. First `choose`, then `take` in the transaction that writes the instance.

    `memory` (bytes) is what the instance is promised. With `outside` engines are asked whether they answer;
    those that did not the last time are asked after all others. Processes that may not ask leave it out: then
    what the last asking showed counts.
    """

    def __init__(self, name: str | None, outside: Outside | None, memory: int) -> None:
        self._name, self._outside, self._memory = name, outside, memory
        self._silent = _failing()
        self._put_off = set(self._silent) if outside else set()
        self._answered: set[int] = set()
        self._left = CHOICES

    def choose(self) -> Host:
        """The host to try next. Raises RequestError for a full or unknown one, OutOfReachError for none."""
        if self._name is not None:
            host = lookup.host(self._name)
            self._refuse_full(host)
            return host
        while True:
            for host in self._candidates():
                if self._answers(host):
                    return host
            if not self._put_off:
                raise OutOfReachError(self._told(NO_ENGINE))
            self._silent -= self._put_off  # one may be back
            self._put_off.clear()

    def take(self, host: Host) -> bool:
        """Hold the host until the transaction ends; False when it is no longer the one to take.

        Orders for the same host wait here for each other, so each counts what those before it wrote.
        Raises RequestError when a host that was named, or every host, is full.
        """
        if locked(Host.objects.filter(pk=host.pk)).first() is None:
            return False
        if self._name is not None:
            self._refuse_full(host)
            return True
        self._left -= 1
        candidates = self._candidates()
        return host in (candidates[:1] if self._left > 0 else candidates)

    def _candidates(self) -> list[Host]:
        """Hosts with room and not known to be silent, the best first. Raises RequestError for no room."""
        hosts = {room.name: (host, room) for host, room in self._rooms()}
        fitting = rules.in_order((room for _, room in hosts.values()), self._memory)
        if not fitting:
            raise RequestError(self._told(NO_ROOM))
        return [hosts[room.name][0] for room in fitting if not room.silent]

    def _refuse_full(self, host: Host) -> None:
        room = next(room for found, room in self._rooms() if found.pk == host.pk)
        why = rules.why_not(room, self._memory)
        if why:
            raise RequestError(f"Host {host.name} has no room: it {why}.")

    def _told(self, sentence: str) -> str:
        """With the reason of each host."""
        why = rules.reasons((room for _, room in self._rooms()), self._memory)
        return f"{sentence}: {why}." if why else f"{sentence}."

    def _rooms(self) -> list[tuple[Host, rules.Room]]:
        return [(host, _room(host, silent=host.pk in self._silent)) for host in by_load()]

    def _answers(self, host: Host) -> bool:
        if self._outside is None or host.pk in self._answered:
            return True
        try:
            self._outside.engines.look(engine_address(host), lambda engine: engine.ping())
        except EngineUnreachable:
            self._silent.add(host.pk)
            return False
        self._answered.add(host.pk)
        return True


def by_load() -> list[Host]:
    """All hosts, with the number of their instances and what these are promised, in bytes."""
    present = Q(instances__decommissioned_at=None)
    load = Count("instances", filter=present)
    promised = Sum("instances__plan__memory", filter=present)
    return list(Host.objects.annotate(load=load, promised=promised).order_by("name"))


def _room(host: Host, *, silent: bool) -> rules.Room:
    return rules.Room(
        host.name,
        host.load,  # type: ignore[attr-defined]
        host.promised or 0,  # type: ignore[attr-defined]
        host.max_instances,
        host.max_memory,
        host.overcommit,
        host.cordoned,
        silent,
    )


def _failing() -> set[int]:
    return set(HostWatch.objects.filter(failures__gt=0).values_list("host_id", flat=True))
