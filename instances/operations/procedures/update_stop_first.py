"""Update, stop-first: the old container waits aside until the new one is proven, or comes back."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.db import transaction

from instances.checks.check_requests import CheckRequest, request_for
from instances.checks.observe import RUNNING
from instances.checks.policy import jitter, policy
from instances.checks.transition import change
from instances.containers.facts import ContainerFacts
from instances.containers.identity import ALIVE
from instances.containers.spec import next_name, previous_name
from instances.errors import GateFailed, NoSuchCall, NotFoundOnEngine, PermanentError, PortTaken
from instances.health import restarts
from instances.incidents.from_health import note_interruption
from instances.operations.find_own import find_own
from instances.operations.procedure import Procedure, Step, StepTookTooLong, Work, pull_limit, stop_limit
from instances.operations.steps import container, data, exact, own_container, ports, taken_name
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
    note_old,
    old_container,
    remember_bad_image,
    remove_new,
    rename,
    rename_new,
    succeeded,
)
from instances.operations.steps.start import note_healthy
from instances.operations.steps.wait_healthy import note_start, wait_limit, wait_until_healthy

ON_FAILURE = "on-failure"
STARTED_BY_ENGINE = ("always", ON_FAILURE)  # policies by which a stopped container may be started again
UNLESS_STOPPED = "unless-stopped"  # of one that had ended before it was stopped, no engine keeps that it was


def _see_old_healthy(work: Work) -> None:
    """The end of a way back: what is observed counts, not that every call returned."""
    if not work.journal.was_begun("stop old"):
        return
    if not work.journal.is_done("undo stop old"):
        work.journal.remember(old_is_ill="it could not be started")
        return
    since = work.outside.clock.now()
    try:
        work.last_check = wait_until_healthy(work, since, _old_request(work))
    except (GateFailed, StepTookTooLong) as error:
        work.journal.remember(old_is_ill=str(error))


def _old_request(work: Work) -> CheckRequest:
    return request_for(work.instance, RUNNING).of_container(old_container(work))


def _stop_old(work: Work) -> str:
    _hold_old(work)
    work.engine.stop(old_container(work), work.instance.stop_timeout)
    return "stopped, kept for the way back"


def _hold_old(work: Work) -> None:
    """Most policies have an engine that restarts start what was stopped: two would write one volume.

    One that does not let a policy be changed starts containers when its host does, and then no earlier.
    """
    if "old_policy" not in work.operation.facts:
        work.journal.remember(old_policy=_policy_to_put_back(work))
    if work.operation.facts["old_policy"]:
        with suppress(NoSuchCall):
            work.engine.set_restart_policy(old_container(work), {"Name": "no"})


def _policy_to_put_back(work: Work) -> dict[str, Any] | None:
    facts = work.engine.inspect(old_container(work))
    if facts is None or not _may_be_started(facts):
        return None
    if facts.restart_policy != ON_FAILURE:
        return {"Name": facts.restart_policy}
    told = work.engine.describe(old_container(work))  # how often it may be started
    return dict(told["HostConfig"]["RestartPolicy"]) if told else None


def _may_be_started(facts: ContainerFacts) -> bool:
    """Whether an engine that restarts may start the container although it was told to stop it."""
    had_ended = facts.state not in ALIVE
    return facts.restart_policy in STARTED_BY_ENGINE or (facts.restart_policy == UNLESS_STOPPED and had_ended)


def _start_old(work: Work) -> None:
    _refuse_beside_new(work)
    if not taken_name.is_there(work, old_container(work)):
        if not _is_served(work):
            _remake_old(work)
    else:
        _put_policy_back(work)
    container.start(work, old_container(work))


def _is_served(work: Work) -> bool:
    """Whether a container that this operation does not know serves the customer, which is kept then.

    Updates that the database has forgotten, as it was restored since, made it and removed the old one.
    """
    own = find_own(work.engine, work.instance).container
    if own is None or own.state not in ALIVE:
        return False
    own_container.settle(work, by_name=False)
    work.journal.remember(old_remade=work.instance.container_id)
    return True


def _put_policy_back(work: Work) -> None:
    """Where it was changed: an engine that refused that would refuse this as well, for ever."""
    taken, facts = work.operation.facts.get("old_policy"), work.engine.inspect(old_container(work))
    if taken and facts is not None and facts.restart_policy != taken["Name"]:
        work.engine.set_restart_policy(old_container(work), taken)


def _refuse_beside_new(work: Work) -> None:
    """Two that run would write one volume, so a new one that could not be stopped keeps the old one down."""
    made = new_container(work)
    facts = work.engine.inspect(made) if made else None
    if facts is not None and facts.state in ALIVE:
        raise PermanentError(f"The container {facts.name} still runs on the same data.")


def _remake_old(work: Work) -> None:
    """Somebody removed the container that was kept: the same spec on the image it had is as good.

    It is made under the name of what was set aside, as the new one may still have the instance's.
    """
    instance = work.instance
    data.ready_for_remaking(work)
    image = _image_before(work)
    spec = instance.spec()
    made = container.make(work, replace(spec, name=previous_name(spec.name), image=image))
    with transaction.atomic():
        work.journal.remember(old_remade=made)  # first: it shuts out whoever lost the lease
        container.note_made(instance, made, spec)
        instance.save(update_fields=container.OF_THE_MADE)


def _image_before(work: Work) -> str:
    """The exact image from before; whoever removes stopped containers often removes their images as well."""
    image = work.operation.image_before
    return image if work.engine.image(image) is not None else exact.image_to_run(work)


def _stop_limit(work: Work) -> float:
    """On the way back the image may have to be fetched."""
    return pull_limit(work) if work.operation.undoing else stop_limit(work)


def _rename_old(work: Work) -> str:
    aside = previous_name(work.instance.container_name)
    in_the_way = work.engine.inspect(aside)
    if in_the_way is not None and in_the_way.id != old_container(work):
        container.remove_left_behind(work, in_the_way)
    rename(work, old_container(work), aside)
    return aside


def _rename_old_back(work: Work) -> None:
    rename(work, old_container(work), work.instance.container_name)


def _rename_new_back(work: Work) -> None:
    rename(work, new_container(work), next_name(work.instance.container_name))


def _start_new(work: Work) -> str:
    for _ in range(container.PORT_TRIES):
        work.go_on()
        _make_anew(work)
        try:
            with blaming_image(work):
                container.start(work, str(new_container(work)))
        except NotFoundOnEngine:  # who removes what does not run removes what was never started, too
            if taken_name.is_there(work, str(new_container(work))):
                raise  # something else is gone, such as the container whose network it is to share
            work.journal.remember(new_is_gone=True)
            remove_new(work)  # of one that never starts there is something left
            continue
        except PortTaken:
            if not ports.move_further(work, kept=_published_before(work)):
                raise  # it is the old one's, which will be needed for the way back
            work.journal.remember(new_is_gone=True)
            remove_new(work)
            continue
        note_start(work, str(new_container(work)))
        return "started"
    raise container.every_port_taken(work)


def _published_before(work: Work) -> set[int]:
    """The host's ports of the old container, which nobody else can have had meanwhile."""
    told = work.engine.describe(old_container(work)) or {"HostConfig": {}}
    given = (told["HostConfig"].get("PortBindings") or {}).values()
    numbers = (each.get("HostPort") or "" for bound in given for each in bound or ())
    return {int(number) for number in numbers if number.isdecimal()}  # an adopted one may name a range


def _make_anew(work: Work) -> None:
    """Make the new container again where it is gone: something else held its port, or it was pruned."""
    if not work.operation.facts.get("new_is_gone"):
        return
    made = new_container(work)
    if made and taken_name.is_there(work, made):
        work.journal.remember(new_container=made)
    else:
        work.journal.remember(new_container=None)
        create_new(work)
    rename_new(work)


def _stop_and_remove_new(work: Work) -> None:
    """Stopped alone it might be started by an engine that restarts, beside the old one."""
    made = new_container(work)
    if made:
        work.engine.stop(made, work.instance.stop_timeout)
        work.engine.remove(made, anonymous_volumes=True)


def _failed(work: Work) -> None:
    work.journal.write(image_after=work.instance.image_id)
    if not work.journal.was_begun("stop old"):
        return
    remember_bad_image(work)
    now, rules = work.outside.clock.now(), policy(work.instance.plan.start_grace)
    is_back = work.journal.is_done(f"undo {NOTE_OLD}")
    if work.operation.facts.get("own_trouble") and not is_back:
        change(work.instance.pk, now, lambda s: restarts.look_soon(s, now))
    elif work.operation.facts.get("old_is_ill") or not is_back:
        change(work.instance.pk, now, lambda s: restarts.restart_failed(s, rules, now, None, jitter()))
    else:
        note_healthy(work)
        _note_interruption(work, now)


def _succeeded(work: Work) -> None:
    succeeded(work)
    if work.journal.is_done(GATE.name):
        _note_interruption(work, work.journal.time_of(GATE.name, "finished_at"))


def _note_interruption(work: Work, until: datetime) -> None:
    note_interruption(work.instance.pk, work.journal.time_of("stop old", "started_at"), until)


def _status(work: Work) -> str:
    return "rolled_back" if work.journal.was_begun("stop old") else "failed"


PROCEDURE = Procedure(
    kind="update",
    steps=(
        Step(NOTE_OLD, note_old, undo=_see_old_healthy, limit=wait_limit),
        PULL,
        VERIFY,
        CREATE_NEW,
        Step("set old aside", _rename_old, undo=_rename_old_back, interrupts=True),
        Step("name next", rename_new, undo=_rename_new_back, interrupts=True),
        Step("stop old", _stop_old, undo=_start_old, interrupts=True, limit=_stop_limit),
        Step("start next", _start_new, undo=_stop_and_remove_new, interrupts=True, limit=stop_limit),
        replace(GATE, interrupts=True),
        replace(WATCH, interrupts=True),
        WRITE_DOWN,
        REMOVE_OLD,
        SEE_RUNNING,
    ),
    succeeded=_succeeded,
    failed=_failed,
    undone_status=_status,
    explain=explain,
)
