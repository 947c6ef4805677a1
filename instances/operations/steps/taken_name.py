"""Containers on their way in or out: they have a name that an engine gives to nobody else, and don't run."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

from instances.containers.facts import ContainerFacts
from instances.containers.identity import ALIVE, DEAD, REMOVING
from instances.containers.spec import ContainerSpec
from instances.errors import BetweenRuns, NameTaken, NotFoundOnEngine, PermanentError, TaskLeftBehind
from instances.limits import LONGEST_CALL
from instances.operations.procedure import Work

CREATED = "created"  # an engine's word
REMOVAL, REMOVAL_POLL = timedelta(seconds=60), 0.5
MAKING, MAKING_POLL = timedelta(seconds=LONGEST_CALL), 2.0
CLEARED = 2.0  # seconds in which a busy engine clears away what is left of a container's last run


def is_there(work: Work, container_id: str) -> bool:
    """Whether the engine has a container that can run."""
    facts = settled(work, container_id)
    return facts is not None and can_run(work, facts)


def can_run(work: Work, facts: ContainerFacts) -> bool:
    """What an engine fails to remove is dead; what this operation found never to start is as good as that,
    unless it runs all the same.
    """
    return facts.state in ALIVE or (facts.state != DEAD and not never_starts(work, facts.id))


def never_starts(work: Work, container_id: str) -> bool:
    """Whether this operation found that its engine can't start the container any more."""
    return bool(container_id) and container_id == work.operation.facts.get("never_starts")


def start(work: Work, container_id: str) -> None:
    """Start a container. One that never starts again is written down as such, and as good as gone."""
    with suppress(TaskLeftBehind):
        return work.engine.start(container_id)
    work.outside.wait(CLEARED)
    try:
        work.engine.start(container_id)
    except TaskLeftBehind as error:
        work.journal.remember(never_starts=container_id)
        raise NotFoundOnEngine(str(error)) from None


def settled(work: Work, which: str) -> ContainerFacts | None:
    """A container as it is when nobody is removing it any more, which is waited for.

    An engine takes seconds to remove many files, on slow disks minutes, and keeps the name until then.
    """
    over_at = work.outside.clock.now() + REMOVAL
    while (facts := work.engine.inspect(which)) is not None:
        if facts.state != REMOVING or work.outside.clock.now() >= over_at:
            break
        work.outside.wait(REMOVAL_POLL)
    return facts


def end_of(work: Work, container_id: str) -> str:
    """What became of a container that was removed, for people."""
    facts = work.engine.inspect(container_id)
    if facts is None:
        return "removed"
    return f"its engine can't remove all of it: what is left is called {facts.name}, and is tried again daily"


def is_half_made(facts: ContainerFacts, spec: ContainerSpec) -> bool:
    """Whether the engine ended while it made the container: what it shows since then is in no network."""
    return facts.state == CREATED and bool(spec.network) and not facts.networks


def made(work: Work, create: Callable[[], str], earlier: Callable[[], str | None]) -> str:
    """What `create` makes, or what an earlier try that was cut short is found to have made meanwhile.

    An engine takes minutes where it copies many files of the image into new volumes. It goes on when nobody
    waits any more, and shows the container when it is made. Raises NameTaken when it shows none for long.
    """
    over_at = work.outside.clock.now() + MAKING
    while True:
        try:
            return create()
        except NameTaken:
            found = earlier()
            if found is not None:
                return found
            if work.outside.clock.now() >= over_at:
                raise
        work.go_on()
        work.outside.wait(MAKING_POLL)


def give_name(work: Work, container_id: str, name: str) -> None:
    """Rename a container. One that ends again and again is mostly between two runs, and stopped for it."""
    try:
        work.engine.rename(container_id, name)
    except BetweenRuns:
        work.engine.stop(container_id, work.instance.stop_timeout)
        work.engine.rename(container_id, name)
        with suppress(PermanentError):  # it served nobody before, either
            work.engine.start(container_id)
