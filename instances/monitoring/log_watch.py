"""Alerts by what is in a log: which containers are followed, and what is told of them.

Whoever follows an engine's events follows its logs; nothing is ever restarted for what a log says.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from time import monotonic

from django.conf import settings
from django.core.exceptions import ObjectDoesNotExist
from django.db import DatabaseError, transaction
from pydantic import ValidationError

from instances.containers.log_alerts import LogAlert
from instances.db.sessions import SESSIONS
from instances.engine.pool import EngineAddress
from instances.incidents.lifecycle import Alarm
from instances.incidents.rules import LOG, Severity, log_key
from instances.lib.clock import is_due
from instances.lib.durations import span
from instances.lib.redact import Redactor
from instances.models import Incident, Instance, LastWords, Plan
from instances.monitoring.alarms import (
    end_alarm,
    end_or_wait,
    note_flapping,
    open_one,
    raise_alarm,
)
from instances.monitoring.log_follower import Counted, LogFollower, SharedBucket
from instances.outside import Outside

logger = logging.getLogger(__name__)

CHOOSE_EVERY = timedelta(seconds=5)
SILENCE = 300.0  # seconds after which a log that says nothing is opened anew
PATIENCE = 3.0  # seconds threads are waited for that were told to end
UNWANTED = "it is not followed any more"


@dataclass(frozen=True)
class WantedLog:
    """An instance whose log its plan wants followed."""

    pk: int
    customer_id: str
    container: str
    address: EngineAddress
    alerts: tuple[LogAlert, ...]


@dataclass(frozen=True)
class Followed:
    wanted: WantedLog
    counted: tuple[Counted, ...]
    follower: LogFollower


class LogWatch:
    """Follows logs on the engines this process has the lease of; `turn` is to be called again and again."""

    def __init__(self, outside: Outside, held: Callable[[], Mapping[int, EngineAddress]]) -> None:
        self._outside, self._held = outside, held
        self._followed: dict[int, Followed] = {}
        self._chosen_at: datetime | None = None
        self._shared = SharedBucket()
        self._left_out = 0
        self._over = False

    def turn(self) -> None:
        """Follow what is to be followed, and tell what was found."""
        now = self._outside.clock.now()
        if self._over:
            return
        if is_due(self._chosen_at, CHOOSE_EVERY, now):
            self._chosen_at = now
            self.choose(now)
        for followed in list(self._followed.values()):
            followed.follower.try_anew(SILENCE)
            for counted in followed.counted:
                self._settle(followed, counted, now)

    def choose(self, now: datetime) -> None:
        """Begin and end following, so that those are followed whose plans ask for it at this moment."""
        held = dict(self._held())
        asked = self._bounded(_asked_for(held))
        wanted = {each.pk: each for each in asked if each.container}
        gone = [pk for pk, each in self._followed.items() if wanted.get(pk) != each.wanted]
        before = {pk: self._followed.pop(pk) for pk in gone}
        for each in before.values():
            each.follower.stop()
        known = dict(Incident.objects.open().filter(kind=LOG).values_list("key", "resolve_at"))
        told = [key for key, resolve_at in known.items() if resolve_at is None]
        for pk in wanted.keys() - self._followed.keys():
            if self._over:
                return
            self._follow(wanted[pk], before.get(pk), told)
        _end_unwanted(held, asked, known, now)

    def stop(self) -> None:
        """Follow nothing any more."""
        self._over = True
        threads = [each.follower for each in list(self._followed.values())]
        for thread in threads:
            thread.stop()
        until = monotonic() + PATIENCE
        for thread in threads:
            thread.join(max(0.0, until - monotonic()))

    def _bounded(self, wanted: list[WantedLog]) -> list[WantedLog]:
        left_out = max(0, len(wanted) - settings.LOG_STREAMS)
        if left_out != self._left_out and left_out:
            logger.warning(
                "The logs of %s containers are not followed, though their plans ask for it: "
                "DOCKMGR_LOG_STREAMS allows %s.", left_out, settings.LOG_STREAMS,
            )  # fmt: skip
        self._left_out = left_out
        return wanted[: settings.LOG_STREAMS]

    def _follow(self, wanted: WantedLog, before: Followed | None, told: Collection[str]) -> None:
        """Of a container that took another's place what was counted stands."""
        known = {each.alert: each for each in before.counted} if before else {}
        is_new = before is not None and before.wanted.container != wanted.container
        counted = tuple(known[a] if a in known and is_new else Counted(a) for a in wanted.alerts)
        for each in counted:
            each.told = each.told or log_key(wanted.customer_id, each.alert.key) in told
        follower = LogFollower(
            wanted.container,
            counted,
            self._outside,
            wanted.address,
            partial(_redactor, wanted.pk),
            self._shared,
        )
        follower.start()
        self._followed[wanted.pk] = Followed(wanted, counted, follower)

    def _settle(self, followed: Followed, counted: Counted, now: datetime) -> None:
        if counted.told:
            counted.was_above = False  # that is part of what was told
        above = counted.was_above or counted.is_above(now)
        if above and not counted.told:
            _tell(followed.wanted, counted, now)
            counted.told = True
        elif counted.told and not above and followed.follower.is_caught_up:
            end_or_wait(log_key(followed.wanted.customer_id, counted.alert.key), _over(counted.alert), now)
            counted.told = False


def _asked_for(held: Mapping[int, EngineAddress]) -> list[WantedLog]:
    """Those on these hosts whose plans have alerts, in order; some may have no container for a moment."""
    plans = {plan.pk: alerts for plan in Plan.objects.defer("env") if (alerts := alerts_of(plan))}
    if not plans or not held:
        return []
    rows = Instance.objects.active().filter(plan__in=plans, host__in=held)
    facts = rows.order_by("pk").values_list("pk", "customer_id", "container_id", "host_id", "plan_id")
    return [
        WantedLog(pk, customer, container, held[host], plans[plan])
        for pk, customer, container, host, plan in facts
    ]


def alerts_of(plan: Plan) -> tuple[LogAlert, ...]:
    """What a plan wants to be told of; one that another version wrote and this one can't read is left out."""
    found = []
    for document in plan.log_alerts:
        try:
            found.append(LogAlert.model_validate(document))
        except ValidationError:
            logger.warning("Plan %s has a log alert that can't be read.", plan.name)
    return tuple(found)


# A thousand logs may have their first line at once, and the server has few sessions.
ONE_AT_A_TIME = threading.Lock()


def _redactor(pk: int) -> Redactor | None:
    """What hides an instance's secrets; None while that can't be found out."""
    try:
        with ONE_AT_A_TIME, SESSIONS.turn():
            return Instance.objects.select_related("plan", "host").get(pk=pk).redactor
    except (DatabaseError, ObjectDoesNotExist) as error:
        logger.info("Lines of a log can't be shown at the moment: %s.", type(error).__name__)
        return None


def _tell(wanted: WantedLog, counted: Counted, now: datetime) -> None:
    """One incident, with the lines it is about: both or none."""
    alert, key = counted.alert, log_key(wanted.customer_id, counted.alert.key)
    with transaction.atomic():
        if open_one(key) is not None:  # it flaps, or another process has told
            Incident.objects.open().filter(key=key).update(resolve_at=None)
            return
        instance = Instance.objects.without_secrets().get(pk=wanted.pk)
        told = sentence(wanted.customer_id, alert)
        raise_alarm(Alarm(key, LOG, "log", told, Severity(alert.level), instance=instance), now)
        note_flapping(Incident.objects.filter(key=key), now)
        incident = open_one(key)
        if incident is not None:
            LastWords.objects.create(
                customer_id=wanted.customer_id,
                incident=incident,
                container_id=wanted.container,
                at=now,
                truncated=True,
                packed=LastWords.pack(counted.lines()),
            )


def sentence(customer_id: str, alert: LogAlert) -> str:
    """What was found, for people."""
    which = f"that match `{alert.match}`"
    if not alert.more_than:
        return f"{customer_id} wrote lines {which}."
    return f"{customer_id} wrote more than {alert.more_than} lines {which} within {span(alert.within)}."


def _over(alert: LogAlert) -> str:
    if not alert.more_than:
        return f"it has written no such line for {span(2 * alert.within)}"
    return f"it has not written more than {alert.more_than} such lines in {span(alert.within)} for as long"


def _end_unwanted(
    held: Mapping[int, EngineAddress], asked: Sequence[WantedLog], known: Collection[str], now: datetime
) -> None:
    """End what is told of instances here that are paused, or whose plans do not ask for it any more."""
    if not known or not held:
        return
    keys = {log_key(each.customer_id, alert.key) for each in asked for alert in each.alerts}
    for incident in Incident.objects.open().filter(kind=LOG, instance__host__in=held):
        if incident.key not in keys:
            end_alarm(incident.key, UNWANTED, now)
