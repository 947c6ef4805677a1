"""Containers that died and that their engines started again before anybody looked: kept, and told when many.

Looks find such a container well. Its end is known from the engine's events alone, so one that nobody heard
is not known.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import DatabaseError, transaction
from django.db.models import Q

from instances.containers.facts import ContainerEvent, short_id
from instances.db.errors import may_pass
from instances.db.locks import lock_in_order, locked
from instances.errors import DockmgrError, EngineUnreachable
from instances.incidents.lifecycle import add_event
from instances.incidents.rules import CONTAINER, CRASHING, Severity, crashes_key
from instances.incidents.writer import IncidentWriter
from instances.lib.durations import span
from instances.models import Health, Incident, IncidentEvent, Instance, Operation
from instances.monitoring.death_rules import Death, are_too_many, in_words, started_again
from instances.outside import Outside, engine_address

logger = logging.getLogger(__name__)

DIE, STOP = "die", "stop"  # engines' words: the first process ended, and it was asked to
DIED = "died"  # the kind of the event of a death in an incident's timeline
AT_ONCE = 16
MOST = 1000  # deaths of an incident that are counted, and of those that wait


@dataclass(frozen=True)
class Heard:
    """A death, and by when it was heard of, by our clock."""

    container_id: str
    death: Death
    at: datetime


class Deaths:
    """Deaths that were heard, until it is known whether somebody asked for them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._fresh: list[tuple[str, Death]] = []
        self._waiting: list[Heard] = []

    def add(self, event: ContainerEvent) -> None:
        """Remember a death, until the engine says that it was asked to stop the container."""
        with self._lock:
            if event.action == DIE and len(self._fresh) < MOST:
                self._fresh.append((event.container_id, Death(event.at, event.exit_code)))
            elif event.action == STOP:
                self._fresh = [some for some in self._fresh if not _was_asked_for(*some, event)]
                self._waiting = [
                    some for some in self._waiting if not _was_asked_for(some.container_id, some.death, event)
                ]

    def take(self, now: datetime) -> list[Heard]:
        """Those that were there at the last call already, a few at a time."""
        with self._lock:
            taken, left = self._waiting[:AT_ONCE], self._waiting[AT_ONCE:]
            self._waiting = [*left, *(Heard(who, death, now) for who, death in self._fresh)][:MOST]
            self._fresh = []
        return taken

    def containers(self) -> set[str]:
        """Whose deaths would be taken now or later."""
        with self._lock:
            return {some.container_id for some in self._waiting}

    def forget(self, containers: Collection[str]) -> None:
        """Nobody wants to know of those deaths of these that wait, or nobody can."""
        with self._lock:
            self._waiting = [some for some in self._waiting if some.container_id not in containers]

    def give_back(self, heard: Sequence[Heard]) -> None:
        """These were taken and could not be judged; they come first the next time."""
        with self._lock:
            self._waiting = [*heard, *self._waiting]


def _was_asked_for(container_id: str, death: Death, stop: ContainerEvent) -> bool:
    return container_id == stop.container_id and death.at <= stop.at


@dataclass(frozen=True)
class Crash:
    """A death that an engine made good, and the incident it belongs to."""

    instance_id: int
    customer_id: str
    container_id: str
    at: datetime
    incident_id: int


def judge_deaths(deaths: Deaths, outside: Outside) -> Iterator[Crash]:
    """Write down those that their engines made good; of all others operations or checks tell.

    Those that are not judged, because the database is away or whoever asks gave up, are judged another time.
    """
    hosts = _hosts_of_ours(deaths)
    left = deaths.take(outside.clock.now())
    try:
        while left:
            heard = left.pop(0)
            try:
                crash = _judged(heard, outside)
            except DatabaseError as error:
                if may_pass(error):
                    left.insert(0, heard)
                raise
            except EngineUnreachable:  # each of the others there would cost its timeout once more
                there = {who for who, host in hosts.items() if host == hosts.get(heard.container_id)}
                left = [other for other in left if other.container_id not in there]
                deaths.forget(there)
            else:
                if crash is not None:
                    yield crash
    finally:
        deaths.give_back(left)


def _hosts_of_ours(deaths: Deaths) -> dict[str, int]:
    """By container, of deaths that wait; strangers' are forgotten, as a host of builds has many."""
    waiting = deaths.containers()
    if not waiting:
        return {}
    active = Instance.objects.active().filter(container_id__in=waiting)
    ours = dict(active.values_list("container_id", "host_id"))
    deaths.forget(waiting - ours.keys())
    return ours


def _judged(heard: Heard, outside: Outside) -> Crash | None:
    """Raises EngineUnreachable."""
    container_id, death = heard.container_id, heard.death
    instance = Instance.objects.active().without_secrets().filter(container_id=container_id).first()
    if instance is None:
        return None
    try:
        is_crash = _was_made_good(instance, heard, outside)
    except DockmgrError as error:
        logger.info("What became of container %s is not known: %s", short_id(container_id), error)
        if isinstance(error, EngineUnreachable):
            raise
        return None
    incident = _note(instance, death, outside.clock.now()) if is_crash else None
    if incident is None:
        return None
    return Crash(instance.pk, instance.customer_id, container_id, death.moment, incident.pk)


def _was_made_good(instance: Instance, heard: Heard, outside: Outside) -> bool:
    since = min(heard.death.moment, heard.at)  # its engine's clock may run fast
    by_us = Q(finished_at=None) | Q(finished_at__gte=since)
    if Operation.objects.filter(by_us, customer_id=instance.customer_id).exists():
        return False
    facts = outside.engines.at(engine_address(instance.host)).inspect(instance.container_id)
    return facts is not None and started_again(facts.state, facts.started_at, heard.death.moment)


@transaction.atomic
def _note(instance: Instance, death: Death, now: datetime) -> Incident | None:
    """Keep it with the outage that is open, or with the crashes of the last hour.

    None when it is known: another process has heard of it as well, maybe at this very moment.
    """
    lock_in_order(Health.objects.filter(pk=instance.pk))
    # As its engine says, though its clock may run fast: whoever hears of it again is to know it again.
    at, text = death.moment, f"ended{in_words(death.exit_code)}; its engine started it again"
    if IncidentEvent.objects.filter(incident__instance=instance, kind=DIED, at=at).exists():
        return None
    outage = Incident.objects.open().filter(kind="instance", instance=instance).first()
    if outage is None:
        return _crashed(instance, at, text, now)
    add_event(outage, DIED, text, at)
    return outage


def _crashed(instance: Instance, at: datetime, text: str, now: datetime) -> Incident:
    """One crash is over at once, and nobody is told; many are a warning until there was none for a while."""
    writer, within = IncidentWriter(now), timedelta(seconds=settings.FLAP_WINDOW)
    incident = _last(instance, now - within)
    if incident is None:
        incident = Incident(
            key=crashes_key(instance.customer_id), kind=CONTAINER, cause=CRASHING,
            message=f"{instance.customer_id} {text}", instance=instance, host_id=instance.host_id,
            customer_id=instance.customer_id, opened_at=min(at, now),
        )  # fmt: skip
        writer.opened(incident)
    elif not incident.is_open:
        writer.reopened(incident)
    deaths = [at, *(_deaths_of(incident) if incident.pk else ())]
    writer.note(incident, DIED, text, at)
    if incident.confirmed_at is None and are_too_many(deaths, max(at, now), settings.FLAPS_ALLOWED, within):
        lately = f"{settings.FLAPS_ALLOWED} times within {span(settings.FLAP_WINDOW)}"
        incident.message = f"{instance.customer_id} died {lately}: the last time it {text}"
        writer.raised(incident, Severity.WARNING, incident.message)
        incident.notify_at = now
    if incident.confirmed_at is None:
        writer.resolved(incident, "its engine started it again")
    else:
        incident.resolve_at = now + within
    writer.save()
    return incident


def _last(instance: Instance, since: datetime) -> Incident | None:
    """The incident of its crashes that is open, or was so since then; locked."""
    rows = Incident.objects.filter(Q(resolved_at=None) | Q(resolved_at__gte=since))
    mine = rows.filter(key=crashes_key(instance.customer_id))
    return locked(mine).order_by("-opened_at", "-pk").first()


def _deaths_of(incident: Incident) -> list[datetime]:
    return list(incident.events.filter(kind=DIED).order_by("-at").values_list("at", flat=True)[:MOST])
