"""Update, start-first: the new container is healthy on a port of its own before the old one stops.

Only for plans that keep no data: two containers on one volume would corrupt it.
"""

from __future__ import annotations

from dataclasses import replace

from django.db.models import QuerySet

from instances.errors import NotFoundOnEngine, PortTaken
from instances.models import Port
from instances.operations.procedure import Procedure, Step, Work, stop_limit
from instances.operations.steps import container, ports
from instances.operations.steps.pull import PULL, VERIFY
from instances.operations.steps.replace import (
    CREATE_NEW,
    GATE,
    NOTE_OLD,
    REMOVE_OLD,
    SEE_RUNNING,
    WATCH,
    WRITE_DOWN,
    blaming_image,
    create_new,
    explain,
    new_container,
    new_port,
    note_old,
    old_container,
    remember_bad_image,
    remove_new,
    rename_new,
    succeeded,
)
from instances.operations.steps.wait_healthy import note_start

DRAIN_SECONDS = 5.0  # for callers that read the old address just before it changed


def _next_ports(work: Work) -> QuerySet[Port]:
    """What is reserved for the next container's address, or of the last one's, beside those in force."""
    instance = work.instance
    in_force = [instance.port or 0, *instance.further_ports.values()]
    return Port.objects.filter(instance=instance).exclude(number__in=in_force)


def _reserve_port(work: Work, after: int | None = None) -> str:
    instance = work.instance
    held = _next_ports(work).first()
    with work.journal.holding():
        number = held.number if held else ports.reserve(instance.host, instance, after=after)
    work.journal.remember(new_port=number)
    return str(number)


def _release_port(work: Work) -> None:
    with work.journal.holding():
        _next_ports(work).delete()


def _start_new(work: Work) -> str:
    for _ in range(container.PORT_TRIES):
        try:
            with blaming_image(work):
                work.engine.start(str(new_container(work)))
        except PortTaken:
            _move_new(work)
            continue
        except NotFoundOnEngine:  # a move to another port was cut short between removing and making
            _recreate_new(work)
            continue
        note_start(work, str(new_container(work)))
        return f"published on port {new_port(work)}"
    raise container.every_port_taken(work)


def _move_new(work: Work) -> None:
    """Something else holds a port, whichever it is: make the new container again on other ones."""
    taken = new_port(work)
    remove_new(work)
    _release_port(work)
    ports.move_further(work, kept=())
    _recreate_new(work, after=taken)


def _recreate_new(work: Work, after: int | None = None) -> None:
    work.journal.remember(new_container=None)
    _reserve_port(work, after=after)
    create_new(work)


def _drain(work: Work) -> str:
    work.outside.wait(DRAIN_SECONDS)
    return f"{DRAIN_SECONDS:g} s"


def _stop_old(work: Work) -> str:
    work.engine.stop(old_container(work), work.instance.stop_timeout)
    return "stopped"


def _free_old_port(work: Work) -> str:
    _release_port(work)
    return str(work.operation.params["port"])


def _failed(work: Work) -> None:
    """The old container ran all the time; only the image is to be remembered."""
    if work.journal.was_begun("start next"):
        remember_bad_image(work)
    work.journal.write(image_after=work.instance.image_id)


def _status(work: Work) -> str:
    return "rolled_back" if work.journal.was_begun("start next") else "failed"


PROCEDURE = Procedure(
    kind="update",
    steps=(
        Step(NOTE_OLD, note_old, limit=stop_limit),
        PULL,
        VERIFY,
        Step("reserve port", _reserve_port, undo=_release_port),
        CREATE_NEW,
        Step("start next", _start_new),
        GATE,
        WATCH,
        WRITE_DOWN,
        Step("drain", _drain, final=True),
        Step("stop old", _stop_old, final=True, interrupts=True, limit=stop_limit),
        replace(REMOVE_OLD, interrupts=True),
        Step("free old port", _free_old_port, final=True, interrupts=True),
        Step("name next", rename_new, final=True, interrupts=True),
        SEE_RUNNING,
    ),
    succeeded=succeeded,
    failed=_failed,
    undone_status=_status,
    explain=explain,
)
