"""Reading what each engine's disk holds of instances, once in DOCKMGR_DISK_INTERVAL."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial

from django.db import transaction

from instances.containers.consumption import DISK, above_disk, on_disk
from instances.containers.facts import DiskUse
from instances.db.locks import locked
from instances.db.write_back import write_back
from instances.engine.pool import Engines
from instances.errors import DockmgrError
from instances.lib.clock import is_due
from instances.models import Host, Instance, Usage
from instances.models.usage import CONSUMED
from instances.monitoring.resources import settle
from instances.monitoring.turns import take_turns
from instances.monitoring.usage import begin_hour
from instances.outside import Outside, engine_address

logger = logging.getLogger(__name__)

LOOK_EVERY = timedelta(minutes=1)  # for engines that are due, where none was
AT_ONCE = 4  # engines that look at their files for this process at the same time
READ = ("disk", "on_disk", "disk_read_at", "near", "hour")


class DiskReader:
    """Asks engines whose time has come, a few a turn. Any number of processes may call `turn`."""

    def __init__(self, outside: Outside, every: timedelta) -> None:
        self._outside, self._every = outside, every
        self._looked_at: datetime | None = None

    def turn(self) -> None:
        """Ask engines that are due, each once, and write down what they hold."""
        now = self._outside.clock.now()
        if not is_due(self._looked_at, LOOK_EVERY, now):
            return
        hosts = take_turns("disk_at", now, self._every, AT_ONCE)
        if not hosts:
            self._looked_at = now
            return
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="disk") as pool:
            found = list(pool.map(partial(_read, engines=self._outside.engines), hosts))
        for host, held in zip(hosts, found, strict=True):
            if held is not None:
                write(host, held, self._outside.clock.now(), self._every)


def _read(host: Host, engines: Engines) -> DiskUse | None:
    try:
        return engines.at(engine_address(host)).disk()
    except DockmgrError as error:
        logger.info("What the disk of host %s holds is not known: %s", host.name, error)
        return None


def write(host: Host, found: DiskUse, now: datetime, every: timedelta) -> None:
    """Add up what the host's instances hold, paused ones included, and warn of what is above its plan."""
    provisioned = Instance.objects.present().exclude(provisioned_at=None).filter(host=host)
    instances = {row.pk: row for row in provisioned.without_secrets()}
    new = [Usage(pk=pk, next_read_at=now) for pk in instances]
    Usage.objects.bulk_create(new, ignore_conflicts=True, batch_size=500)
    with transaction.atomic():
        rows = list(locked(Usage.objects.filter(pk__in=instances)).order_by("pk"))
        told = [row for row in rows if _advance(row, instances[row.pk], found, now, every)]
        write_back(told, [*READ, *CONSUMED])
    for row in told:
        settle(row, {DISK}, {DISK} if row.near[DISK] else set(), now)


def _advance(row: Usage, instance: Instance, found: DiskUse, now: datetime, every: timedelta) -> bool:
    """Add one reading to a row; False where the engine told nothing of it."""
    parts = on_disk(found, instance.container_id, instance.held_volumes)
    if not parts:
        return False
    lasted = min(now - row.disk_read_at, 2 * every) if row.disk_read_at else timedelta()
    used = sum(parts.values())
    begin_hour(row, now)
    row.disk_seconds += used * max(0.0, lasted.total_seconds())
    row.disk_peak = max(row.disk_peak, used)
    row.disk, row.on_disk, row.disk_read_at = used, parts, now
    above = above_disk(used, instance.plan.disk, before=bool(row.near.get(DISK)))
    row.near = {**row.near, DISK: int(above)}
    return True
