"""Which host a new instance goes to: the one asked for, or the least loaded with room that answers."""

from __future__ import annotations

from django.db.models import Count, Q, QuerySet

from instances import lookup
from instances.db.locks import locked
from instances.errors import EngineUnreachable, OutOfReachError, RequestError
from instances.models import Host, HostWatch
from instances.outside import Outside, engine_address

NO_ENGINE = "No host with room has an engine that answers."
CHOICES = 20  # how often a better host is looked for when others are quicker


class Placement:
    """One order's way to a host. First `choose`, then `take` in the transaction that writes the instance.

    With `outside` engines are asked whether they answer; without it, for processes that may not ask, what
    the last asking showed counts.
    """

    def __init__(self, name: str | None, outside: Outside | None) -> None:
        self._name, self._outside = name, outside
        self._silent = set() if outside else _failing()
        self._answered: set[int] = set()
        self._left = CHOICES

    def choose(self) -> Host:
        """The host to try next. Raises RequestError for a full or unknown one, OutOfReachError for none."""
        if self._name is not None:
            return _with_place(lookup.host(self._name, _by_load()))
        for host in self._candidates():
            if self._answers(host):
                return host
        raise OutOfReachError(NO_ENGINE)

    def take(self, host: Host) -> bool:
        """Hold the host until the transaction ends; False when it is no longer the one to take.

        Orders for the same host wait here for each other, so each counts what those before it wrote.
        Raises RequestError when a host that was named, or every host, is full.
        """
        if locked(Host.objects.filter(pk=host.pk)).first() is None:
            return False
        if self._name is not None:
            _with_place(_by_load().get(pk=host.pk))
            return True
        self._left -= 1
        candidates = self._candidates()
        return host in (candidates[:1] if self._left else candidates)

    def _candidates(self) -> list[Host]:
        return [host for host in _with_room() if host.pk not in self._silent]

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


def _failing() -> set[int]:
    return set(HostWatch.objects.filter(failures__gt=0).values_list("host_id", flat=True))


def _by_load() -> QuerySet[Host]:
    present = Q(instances__decommissioned_at=None)
    return Host.objects.annotate(load=Count("instances", filter=present)).order_by("load", "name")


def _with_room() -> list[Host]:
    """Hosts with room, the least loaded first. Raises RequestError when there is none."""
    found = [h for h in _by_load() if h.max_instances is None or h.load < h.max_instances]  # type: ignore[attr-defined]
    if not found:
        raise RequestError("No host has room for another instance.")
    return found


def _with_place(host: Host) -> Host:
    if host.max_instances is not None and host.load >= host.max_instances:  # type: ignore[attr-defined]
        raise RequestError(f"Host {host.name} has no room: it holds its {host.max_instances} instances.")
    return host
