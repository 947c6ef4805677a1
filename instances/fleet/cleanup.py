"""Clearing away what nobody needs any more: expired throwaway instances, images without a use."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from django.db.models import F, QuerySet

from instances.containers import storage
from instances.containers.facts import ContainerSummary
from instances.containers.identity import DEAD
from instances.containers.orphans import NOT_ITS_OWN, THROWAWAY, Orphan, is_over, orphaned
from instances.containers.spec import CUSTOMER_LABEL, is_managed
from instances.engine.pool import Engines
from instances.engine.port import Engine
from instances.errors import BusyError, DockmgrError, EngineUnreachable, PermanentError, RequestError
from instances.models import Host, Instance, Operation, PendingPurge
from instances.models.installation import installation_id
from instances.monitoring.orphans import held_by, known_of
from instances.operations.procedures import decommission
from instances.operations.requester import dockmgr
from instances.operations.steps import exact
from instances.operations.steps.data import BEING_REMOVED
from instances.outside import Outside, ask_all, engine_address

logger = logging.getLogger(__name__)

IMAGES_KEPT_FOR = timedelta(days=7)


def expired(now: datetime) -> list[Operation]:
    """Take every throwaway instance past its time for removal; returns the operations to carry out."""
    begun = []
    for instance in Instance.objects.present().filter(expires_at__lt=now).without_secrets():
        try:
            begun.append(decommission.begin(instance, now, dockmgr("its time is over"), purge_data=True))
        except (BusyError, RequestError):
            continue  # The next round finds it free, or it is gone.
    return begun


def purge_pending(outside: Outside) -> list[str]:
    """Remove the volumes whose data was to go and that nobody uses any more; returns their names."""
    rows = list(PendingPurge.objects.select_related("host"))
    silent = silent_hosts({row.host_id: row.host for row in rows}.values(), outside.engines)
    return [row.volume for row in rows if _purged(row, outside, silent)]


def silent_hosts(hosts: Iterable[Host], engines: Engines) -> dict[int, DockmgrError]:
    """Hosts whose engines do not answer, with the reason."""
    asked = list(hosts)
    answers = ask_all(asked, engines, lambda engine, _: engine.ping())
    found = zip(asked, answers, strict=True)
    return {host.pk: answer for host, answer in found if isinstance(answer, DockmgrError)}


def _purged(row: PendingPurge, outside: Outside, silent: dict[int, DockmgrError]) -> bool:
    """Whether the data is gone by this call. The order is kept, with what it waits for, until it is."""
    try:
        if row.host_id in silent:
            raise silent[row.host_id]
        engine = outside.engines.at(engine_address(row.host))
        labels = engine.volume_labels(row.volume)
        wanted = labels is not None and storage.is_customers(labels, row.customer_id, installation_id())
        if wanted:
            _remove_unused(row, engine, outside.clock.now())
    except DockmgrError as error:
        if isinstance(error, EngineUnreachable):
            silent[row.host_id] = error
        logger.info("The volume %s stays for now: %s", row.volume, error)
        PendingPurge.objects.filter(pk=row.pk).update(tried_at=outside.clock.now(), holders=str(error)[:255])
        return False
    row.delete()
    return wanted


def _remove_unused(row: PendingPurge, engine: Engine, now: datetime) -> None:
    """Raises PermanentError, which says who has the volume, or that it is to be kept by now.

    Of a customer who is back the data stays: whoever provisioned again says what becomes of it.
    """
    if Instance.objects.present().filter(customer_id=row.customer_id).exists():
        raise PermanentError(f"the customer {row.customer_id}, who is back")
    # Other hosts may have been slow to answer. From here on nobody goes on with the data.
    if not PendingPurge.objects.filter(pk=row.pk).update(holders=BEING_REMOVED, tried_at=now):
        raise PermanentError("the customer went on with it")
    try:
        engine.remove_volume(row.volume)
    except PermanentError as error:
        raise PermanentError(", ".join(engine.volume_users(row.volume)) or str(error)) from error


def remove_expired(engines: Engines, now: datetime) -> dict[str, list[str]]:
    """Remove dead containers, and throwaway ones with volumes past their time that no instance has or had.

    Returns the names of what is gone, by host. Dead ones are what an engine failed to remove. Throwaway ones
    were made for a moment by a process that was killed, or for a test deployment whose row is gone. What
    another installation made is left to it.
    """
    hosts = list(Host.objects.all())
    answers = zip(hosts, ask_all(hosts, engines, lambda engine, _: held_by(engine)), strict=True)
    return {
        host.name: _removed(_expired_on(host, *answer, now), engines.at(engine_address(host)))
        for host, answer in answers
        if not isinstance(answer, DockmgrError)
    }


def _expired_on(
    host: Host,
    containers: Iterable[ContainerSummary],
    volumes: Mapping[str, Mapping[str, str]],
    now: datetime,
) -> list[Orphan]:
    own = installation_id()
    ours = [each for each in containers if is_managed(each.labels, own)]
    over = [each for each in ours if is_over(each.labels, now)]
    dead = [each for each in ours if each.state == DEAD]
    owned = {name: labels for name, labels in volumes.items() if is_managed(labels, own)}
    gone = {name: labels for name, labels in owned.items() if is_over(labels, now)}
    if not over and not gone and not dead:  # nearly always, and then no instance need be read
        return []
    rows = list(Instance.objects.filter(host=host).without_secrets())  # what was adopted has others' labels
    held, kept = {row.container_id for row in rows}, {name for row in rows for name in row.held_volumes}
    found = orphaned([each for each in over if each.id not in held], gone, known_of(host))
    expired = [each for each in found if each.why == THROWAWAY and each.name not in kept]
    return [*(_left(each) for each in dead if each.id not in held), *expired]


def _left(dead: ContainerSummary) -> Orphan:
    """What an engine has left of a container that it could not remove when it was told to."""
    customer = dead.labels.get(CUSTOMER_LABEL, "")
    return Orphan("container", dead.name, customer, dead.state, NOT_ITS_OWN, dead.id)


def _removed(orphans: Iterable[Orphan], engine: Engine) -> list[str]:
    """The names of those that could be removed, containers before the volumes they mount."""
    gone = []
    for each in orphans:
        try:
            _remove(each, engine)
        except DockmgrError as error:
            logger.info("The %s %s stays for now: %s", each.kind, each.name, error)
        else:
            gone.append(each.name)
    return gone


def _remove(orphan: Orphan, engine: Engine) -> None:
    if orphan.kind == "container":  # by its id: a customer's next container may have got the name meanwhile
        engine.remove(orphan.id, anonymous_volumes=True)
    else:
        engine.remove_volume(orphan.name)


def learn_digests(engines: Engines) -> int:
    """Write down which registry has the image of instances from before that was done; returns how many."""
    rows = Instance.objects.present().filter(image_digest="", leaving_at=None).exclude(image_id="")
    return sum(_learnt(row, engines) for row in rows.select_related("host", "plan").defer("env", "adopted"))


def _learnt(row: Instance, engines: Engines) -> bool:
    try:
        image = engines.look(engine_address(row.host), lambda engine: engine.image(row.image_id))
    except DockmgrError:
        return False  # Another day.
    digest = exact.digest_of(image, row.image_ref) if image is not None else ""
    same = Instance.objects.filter(pk=row.pk, image_id=row.image_id)
    return bool(digest) and bool(same.update(image_digest=digest))


def unused_images(host: Host, now: datetime) -> set[str]:
    """Ids of images dockmgr once ran on a host and will not need again.

    It may need those an instance runs, those the newest update of an instance could go back to, and those an
    operation fetched or replaced that began in the last seven days or is not over.
    """
    here = Operation.objects.filter(host=host)
    ways_back = {
        update.image_before
        for customer in Instance.objects.present().filter(host=host).values_list("customer_id", flat=True)
        for update in _replacements(here, customer).order_by("-created_at")[:1]
    }
    return _images(here) - _in_use(host, now) - ways_back


def _in_use(host: Host, now: datetime) -> set[str]:
    """Ids of images that run, or that operations of late or under way had to do with."""
    recent = Operation.objects.filter(host=host, created_at__gte=now - IMAGES_KEPT_FOR)
    run_anywhere = set(Instance.objects.present().values_list("image_id", flat=True))
    return _images(recent) | needed_now(host) | run_anywhere


def needed_now(host: Host) -> set[str]:
    """Ids of images that run on the host, or that operations under way there have to do with."""
    run = Instance.objects.present().filter(host=host).values_list("image_id", flat=True)
    return _images(Operation.objects.filter(host=host, finished_at=None)) | set(run)


def _replacements(operations: QuerySet[Operation], customer_id: str) -> QuerySet[Operation]:
    """Updates that found something newer and ended well."""
    updates = operations.filter(customer_id=customer_id, kind="update", status="succeeded")
    return updates.exclude(image_after=F("image_before"))


def _images(operations: QuerySet[Operation]) -> set[str]:
    """Ids of all images operations had to do with, those that failed included."""
    rows = operations.values_list("image_before", "image_after", "facts__new_image")
    return {image for row in rows for image in row if image}


def remove_unused_images(engines: Engines, now: datetime) -> dict[str, list[str]]:
    """Remove them on every host that answers; returns what was removed, by host."""
    hosts = list(Host.objects.all())
    unused = {host.pk: sorted(unused_images(host, now)) for host in hosts}

    def removable(engine: Engine, host: Host) -> list[str]:
        return [image for image in unused[host.pk] if _is_elsewhere(engine, image)]

    found = zip(hosts, ask_all(hosts, engines, removable), strict=True)
    # A host out of reach is tidied another day.
    left = {host: images for host, images in found if not isinstance(images, DockmgrError)}
    removed: dict[Host, list[str]] = {host: [] for host in left}
    while any(left.values()):
        _remove_one_each(engines, now, left, removed)
    return {host.name: images for host, images in removed.items()}


def _remove_one_each(
    engines: Engines, now: datetime, left: dict[Host, list[str]], removed: dict[Host, list[str]]
) -> None:
    """Go on by one image on each host, unless an operation that began meanwhile is about to run it.

    A host that is lost on the way is taken out of both.
    """
    turns = {host: images.pop(0) for host, images in left.items() if images}
    asked = [host for host, image in turns.items() if image not in _in_use(host, now)]
    answers = ask_all(asked, engines, lambda engine, host: engine.remove_image(turns[host]))
    for host, answer in zip(asked, answers, strict=True):
        if isinstance(answer, DockmgrError):
            del left[host], removed[host]
        elif answer:
            removed[host].append(turns[host])


def _is_elsewhere(engine: Engine, image_id: str) -> bool:
    """An image that was built on the host and never pushed could not be had again."""
    image = engine.image(image_id)
    return image is not None and bool(image.digests)
