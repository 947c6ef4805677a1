"""The incidents of a host, of the fleet and of dockmgr itself: one each, raised and ended by any process."""

from __future__ import annotations

import logging
from collections import Counter
from datetime import datetime, timedelta
from logging import ERROR, WARNING

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Count, Q, QuerySet

from instances.incidents import lifecycle
from instances.incidents.hosts import ANOTHER_ENGINE, DATA_LOST
from instances.incidents.lifecycle import Alarm
from instances.incidents.rules import CERTIFICATE, ORPHANS, SELF, Severity
from instances.models import Incident

logger = logging.getLogger(__name__)


def open_one(key: str) -> Incident | None:
    """The open incident of a key."""
    return Incident.objects.open().filter(key=key).first()


def raise_alarm(alarm: Alarm, now: datetime) -> None:
    """Open its incident, or bring cause and message up to date.

    Who knows of it hears of another cause by a reminder, or at once where there may be none.
    """
    resolve_at = None if alarm.clean is None else now + alarm.clean
    try:
        with transaction.atomic():
            known = lifecycle.last_of(alarm, now)
            if known is None or not known.is_open or known.cause != alarm.cause:
                logger.log(ERROR if alarm.severity is Severity.CRITICAL else WARNING, "%s", alarm.message)
                is_news = known is not None and known.is_open and _is_news(known, alarm, now)
                known = lifecycle.open_incident(alarm, now)
                if is_news:
                    lifecycle.tell_anew(known, now)
            Incident.objects.filter(pk=known.pk).update(resolve_at=resolve_at, message=alarm.message)
    except IntegrityError:
        logger.info("Another process has just raised the alarm of %s.", alarm.key)


def _is_news(known: Incident, alarm: Alarm, now: datetime) -> bool:
    """Whether an open incident becomes another matter for people, of which it has not told before.

    So it is where nothing is done on a host before somebody acts, unless its trouble changes all the time;
    and where nobody would be reminded: of another trouble of a host, another part of dockmgr that is gone, or
    more that belongs to no instance, once somebody has seen the first; of another certificate ever.
    """
    seen, more = known.acknowledged_at is not None, set(alarm.cause.split(",")) - set(known.cause.split(","))
    is_other = {
        "host": seen or (alarm.cause in (ANOTHER_ENGINE, DATA_LOST) and not _changes_often(known, now)),
        SELF: seen and bool(more),
        ORPHANS: seen and _counted(alarm.cause) > _counted(known.cause),
        CERTIFICATE: bool(more),
    }
    return is_other.get(alarm.kind, False) and not known.events.filter(text=alarm.message).exists()


def _counted(cause: str) -> int:
    """How many things it is about, as in "1 container and 2 volumes"."""
    return sum(int(word) for word in cause.split() if word.isdigit())


def _changes_often(known: Incident, now: datetime) -> bool:
    """Whether its cause has become another as often lately as makes instances flap.

    When it was reopened, its cause was written as well.
    """
    lately = known.events.filter(at__gt=now - timedelta(seconds=settings.FLAP_WINDOW))
    kinds = Counter(lately.filter(kind__in=("cause", "reopened")).values_list("kind", flat=True))
    return kinds["cause"] - kinds["reopened"] >= settings.FLAPS_ALLOWED


def note_flapping(incidents: QuerySet[Incident], now: datetime) -> None:
    """Those that are open, and were over and came back as often as makes instances flap, flap as well."""
    lately = Q(events__kind="reopened", events__at__gt=now - timedelta(seconds=settings.FLAP_WINDOW))
    steady = incidents.filter(resolved_at=None, flapping=False)
    often = steady.alias(again=Count("events", filter=lately)).filter(again__gte=settings.FLAPS_ALLOWED)
    for incident in often:
        if Incident.objects.filter(pk=incident.pk, flapping=False).update(flapping=True):
            lifecycle.add_event(incident, "flapping", "it passes and comes back", now)


def end_alarm(key: str, resolution: str, now: datetime) -> None:
    """Resolve the key's incident, if it is open."""
    incident = open_one(key)
    if incident is not None:
        logger.info("Incident %s is over: %s.", key, resolution)
        lifecycle.resolve(incident, resolution, now)


def end_or_wait(key: str, resolution: str, now: datetime) -> None:
    """`end_alarm`; but one that flaps is over when it was not raised again for DOCKMGR_FLAPPING_CLEAN."""
    incident = open_one(key)
    if incident is None or not incident.flapping:
        end_alarm(key, resolution, now)
        return
    clean = now + timedelta(seconds=settings.FLAPPING_CLEAN)
    if Incident.objects.open().filter(pk=incident.pk, resolve_at=None).update(resolve_at=clean):
        lifecycle.wake(incident, now)
