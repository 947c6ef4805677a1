"""Containers and volumes of ours that no instance has: what a restored backup, or a crash, left unknown."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Exists, OuterRef, Q

from instances.containers.facts import ContainerSummary
from instances.containers.orphans import NOT_ITS_OWN, Holding, Known, Orphan, nobody_meant, orphaned
from instances.containers.spec import CUSTOMER_LABEL
from instances.documents import shapes
from instances.engine.port import Engine
from instances.errors import DockmgrError, OutOfReachError
from instances.incidents.lifecycle import Alarm
from instances.incidents.rules import ORPHANS, Severity, orphans_key
from instances.models import Host, Instance, Operation
from instances.models.installation import installation_id
from instances.monitoring.alarms import end_alarm, raise_alarm
from instances.monitoring.turns import take_turns
from instances.outside import Outside, ask_all, engine_address

logger = logging.getLogger(__name__)

NAMED = 3  # as many are named in a message
AT_ONCE = 4  # hosts in a turn


def orphans_on_all(hosts: Sequence[Host], outside: Outside) -> shapes.Orphans:
    """What is on these hosts' engines and unknown to the database, with a sentence for each out of reach.

    Nothing is changed. A container can be adopted; what to do with data only people know. Raises any
    DockmgrError but OutOfReachError.
    """
    found: list[shapes.Orphan] = []
    unanswered = []
    answers = ask_all(hosts, outside.engines, lambda engine, _: held_by(engine))
    for host, answer in zip(hosts, answers, strict=True):
        if isinstance(answer, OutOfReachError):
            unanswered.append(f"Host {host.name} was not looked at: {answer}")
        elif isinstance(answer, DockmgrError):
            raise answer
        else:
            found += _documents(host, _unknown(host, *answer))
    return {"orphans": found, "unanswered": unanswered}


def _documents(host: Host, orphans: Iterable[Orphan]) -> list[shapes.Orphan]:
    return [
        {
            "host": host.name,
            "kind": orphan.kind,
            "name": orphan.name,
            "customer_id": orphan.customer_id,
            "state": orphan.state,
            "why": orphan.why,
        }
        for orphan in orphans
    ]


def look_for_orphans(outside: Outside) -> bool:
    """Look at hosts whose turn it is, and warn of what nobody meant to be there. False: no turn is due.

    A turn comes once in DOCKMGR_ORPHANS_INTERVAL for each host whose engine is in order, and any number
    of processes share them. 0 switches this off.
    """
    if not settings.ORPHANS_INTERVAL:
        return False
    every = timedelta(seconds=settings.ORPHANS_INTERVAL)
    answered = Q(answered_at__isnull=False)
    hosts = take_turns("orphans_at", outside.clock.now(), every, AT_ONCE, answered)
    for host in hosts:
        _look_at(host, outside)
    return bool(hosts)


def _look_at(host: Host, outside: Outside) -> None:
    try:
        found = nobody_meant(_found(host, outside))
        if found:  # What ended between the two questions was somebody's.
            seen_again = set(nobody_meant(_found(host, outside)))
            found = [orphan for orphan in found if orphan in seen_again]
    except DockmgrError as error:
        logger.info("What belongs to nobody on host %s is not known: %s", host.name, error)
        return
    _judge(host, found, outside.clock.now())


def _found(host: Host, outside: Outside) -> list[Orphan]:
    return _unknown(host, *held_by(outside.engines.at(engine_address(host))))


def held_by(engine: Engine) -> tuple[list[ContainerSummary], dict[str, dict[str, str]]]:
    """All containers of an engine, and the labels of the volumes that carry ours, by name."""
    return engine.list_containers(), engine.managed_volumes()


def _unknown(
    host: Host, containers: Iterable[ContainerSummary], volumes: Mapping[str, Mapping[str, str]]
) -> list[Orphan]:
    customers = {labels.get(CUSTOMER_LABEL, "") for labels in volumes.values()}
    return orphaned(containers, volumes, known_of(host, _left(customers)))


def known_of(host: Host, left: Collection[str] = ()) -> Known:
    """What the database knows of a host, and of the customers who `left`."""
    purged = frozenset(host.pending_purges.values_list("volume", flat=True))
    return Known(_held_on(host), left, installation_id(), purged)


def _held_on(host: Host) -> dict[str, Holding]:
    unfinished = Operation.objects.filter(customer_id=OuterRef("customer_id"), finished_at=None)
    present = Instance.objects.present().filter(host=host)
    changing = set(present.filter(Exists(unfinished)).values_list("pk", flat=True))
    return {
        row.customer_id: Holding(row.container_id, frozenset(row.held_volumes), row.pk in changing)
        for row in present.without_secrets()
    }


def _left(customers: Collection[str]) -> frozenset[str]:
    gone = Instance.objects.filter(decommissioned_at__isnull=False, customer_id__in=customers)
    return frozenset(gone.values_list("customer_id", flat=True))


def _judge(host: Host, found: Sequence[Orphan], now: datetime) -> None:
    if not found:
        end_alarm(orphans_key(host.name), f"all that dockmgr made on host {host.name} has its instance", now)
        return
    cause, message = describe(host.name, found)
    raise_alarm(Alarm(orphans_key(host.name), ORPHANS, cause, message, Severity.WARNING, host=host), now)


def describe(host: str, found: Sequence[Orphan]) -> tuple[str, str]:
    """How many there are, in short, and a sentence that names the first of each kind.

    A container whose customer has an instance may be the one that serves him: it is not called nobody's.
    """
    unknown = [orphan for orphan in found if orphan.why == NOT_ITS_OWN]
    nobodys = [orphan for orphan in found if orphan.why != NOT_ITS_OWN]
    belong = f"{'belongs' if len(nobodys) == 1 else 'belong'} to no instance"
    parts = [f"{_counted(nobodys)} of dockmgr {belong}: {_named(nobodys)}."] if nobodys else []
    if unknown:
        known = "the customer's instance knows another one" if len(unknown) == 1 else "instances know others"
        parts.append(
            f"{_counted(unknown)} of dockmgr may serve a customer though {known}: {_named(unknown)}."
        )
    return _counted(found), f"Host {host}: {' '.join(parts)}"


def _counted(orphans: Sequence[Orphan]) -> str:
    numbers = {kind: sum(orphan.kind == kind for orphan in orphans) for kind in ("container", "volume")}
    return " and ".join(
        f"{number} {kind}{'' if number == 1 else 's'}" for kind, number in numbers.items() if number
    )


def _named(orphans: Sequence[Orphan]) -> str:
    return ", ".join(orphan.name for orphan in orphans[:NAMED]) + (", …" if len(orphans) > NAMED else "")
