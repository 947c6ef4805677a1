"""Clearing away what nobody needs any more: expired throwaway instances, images without a use."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.db.models import F, Q, QuerySet

from instances.containers import storage
from instances.engine.pool import Engines
from instances.engine.port import Engine
from instances.errors import BusyError, DockmgrError, PermanentError
from instances.models import Host, Instance, Operation, PendingPurge
from instances.operations.procedures import decommission
from instances.operations.requester import dockmgr
from instances.operations.steps import exact
from instances.outside import engine_address

logger = logging.getLogger(__name__)

IMAGES_KEPT_FOR = timedelta(days=7)


def expired(now: datetime) -> list[Operation]:
    """Take every throwaway instance past its time for removal; returns the operations to carry out."""
    begun = []
    for instance in Instance.objects.present().filter(expires_at__lt=now).without_secrets():
        try:
            begun.append(decommission.begin(instance, now, dockmgr("its time is over"), purge_data=True))
        except BusyError:
            continue  # The next round finds it free, or gone.
    return begun


def purge_pending(engines: Engines, now: datetime) -> list[str]:
    """Remove the volumes whose data was to go and that nobody uses any more; returns their names."""
    rows = PendingPurge.objects.select_related("host")
    return [row.volume for row in rows if _purged(row, engines, now)]


def _purged(row: PendingPurge, engines: Engines, now: datetime) -> bool:
    """Whether the data is gone by this call. The order is kept, with what it waits for, until it is."""
    try:
        engine = engines.at(engine_address(row.host))
        labels = engine.volume_labels(row.volume)
        wanted = labels is not None and storage.is_customers(labels, row.customer_id)
        if wanted:
            _remove_unused(row, engine)
    except DockmgrError as error:
        logger.info("The volume %s stays for now: %s", row.volume, error)
        PendingPurge.objects.filter(pk=row.pk).update(tried_at=now, holders=str(error)[:255])
        return False
    row.delete()
    return wanted


def _remove_unused(row: PendingPurge, engine: Engine) -> None:
    """Raises PermanentError, which says who has the volume.

    Of a customer who is back the data stays: whoever provisioned again says what becomes of it.
    """
    if Instance.objects.present().filter(customer_id=row.customer_id).exists():
        raise PermanentError(f"the customer {row.customer_id}, who is back")
    try:
        engine.remove_volume(row.volume)
    except PermanentError as error:
        raise PermanentError(", ".join(engine.volume_users(row.volume)) or str(error)) from error


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

    Kept are those an instance runs, those the newest update of an instance could go back to, and
    all that an operation had to do with in the last seven days. Images dockmgr never ran are not ours.
    """
    here = Operation.objects.filter(host=host)
    ours = _images(here)
    recent = _images(here.filter(Q(created_at__gte=now - IMAGES_KEPT_FOR) | Q(finished_at=None)))
    running = set(Instance.objects.present().values_list("image_id", flat=True))
    ways_back = {
        update.image_before
        for customer in Instance.objects.present().filter(host=host).values_list("customer_id", flat=True)
        for update in _replacements(here, customer).order_by("-created_at")[:1]
    }
    return ours - recent - running - ways_back


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
    removed: dict[str, list[str]] = {}
    for host in Host.objects.all():
        try:
            engine = engines.at(engine_address(host))
            unused = sorted(unused_images(host, now))
            removed[host.name] = [i for i in unused if _is_elsewhere(engine, i) and engine.remove_image(i)]
        except DockmgrError:
            continue  # A host out of reach is tidied another day.
    return removed


def _is_elsewhere(engine: Engine, image_id: str) -> bool:
    """An image that was built on the host and never pushed could not be had again."""
    image = engine.image(image_id)
    return image is not None and bool(image.digests)
