"""Incidents: stretches of time in which something is wrong with an instance, a host, or dockmgr."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from django.db import models
from django.db.models import Q

from instances.models.channel import LEVELS, Channel
from instances.models.fleet import Host, Plan
from instances.models.instance import Instance
from instances.models.storable import CharField, Excerpt


class IncidentQuerySet(models.QuerySet["Incident"]):
    def open(self) -> Self:
        return self.filter(resolved_at=None)


class Incident(models.Model):
    """One thing that is wrong; at most one open row per `key`, by constraint.

    `opened_at` is the first failure, `down_since` that of the present stretch (None while clean).
    `confirmed_at` is when the present stretch became worth telling: before that it may still be a
    blip. `downtime` adds up the stretches that ended, in seconds; `downtime_at_most` does so from the
    last good look before each, which is `well_at` for the present one; None where its first moment is
    known.

    Three columns are deadlines that a poll finds: `critical_at`, `resolve_at` (flapping, or a host
    in its grace) and `notify_at` (there may be something to tell).
    """

    KINDS = tuple(
        (kind, kind)
        for kind in (
            "instance",
            "host",
            "fleet",
            "self",
            "operation",
            "container",
            "certificate",
            "orphans",
            "resources",
            "outside",
            "log",
        )
    )

    key = CharField(max_length=128)
    kind = CharField(max_length=16, choices=KINDS)
    instance = models.ForeignKey(Instance, on_delete=models.SET_NULL, null=True, related_name="incidents")
    host = models.ForeignKey(Host, on_delete=models.SET_NULL, null=True, related_name="incidents")
    customer_id = CharField(max_length=63, blank=True)
    severity = CharField(max_length=8, choices=LEVELS, default="info")
    cause = Excerpt(max_length=128, blank=True)
    message = Excerpt(max_length=255, blank=True)
    opened_at = models.DateTimeField()
    down_since = models.DateTimeField(null=True, blank=True)
    confirmed_at = models.DateTimeField(null=True, blank=True)
    resolved_at = models.DateTimeField(null=True, blank=True)
    resolution = Excerpt(max_length=255, blank=True)
    downtime = models.FloatField(default=0)
    downtime_at_most = models.FloatField(default=0)
    well_at = models.DateTimeField(null=True, blank=True)
    restarts = models.PositiveIntegerField(default=0)
    flapping = models.BooleanField(default=False)
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    acknowledged_by = Excerpt(max_length=64, blank=True)
    critical_at = models.DateTimeField(null=True, blank=True)
    resolve_at = models.DateTimeField(null=True, blank=True)
    notify_at = models.DateTimeField(null=True, blank=True)

    objects = IncidentQuerySet.as_manager()

    class Meta:
        ordering = ("-opened_at", "-pk")
        indexes = [
            models.Index(fields=["-opened_at"], name="incident_by_time"),
            models.Index(fields=["key", "-opened_at"], name="incident_by_key"),
            models.Index(
                fields=["critical_at"], condition=~Q(critical_at=None), name="incident_critical_due"
            ),
            models.Index(fields=["resolve_at"], condition=~Q(resolve_at=None), name="incident_resolve_due"),
            models.Index(fields=["notify_at"], condition=~Q(notify_at=None), name="incident_notify_due"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["key"], condition=Q(resolved_at=None), name="one_open_incident_per_key"
            )
        ]

    def __str__(self) -> str:
        return f"incident {self.pk} {self.key} {self.severity}"

    @property
    def is_open(self) -> bool:
        return self.resolved_at is None

    def downtime_until(self, now: datetime) -> float:
        """Seconds of being down in all, the present stretch included."""
        return self.downtime + _seconds_since(self.down_since, now)

    def downtime_at_most_until(self, now: datetime) -> float:
        """The same, if each stretch began right after the last good look before it."""
        present = _seconds_since(self.down_since and (self.well_at or self.down_since), now)
        return max(self.downtime_until(now), self.downtime_at_most + present)


def _seconds_since(moment: datetime | None, now: datetime) -> float:
    return max(0.0, (now - moment).total_seconds()) if moment else 0.0


class IncidentEvent(models.Model):
    """One line of an incident's timeline, of our clock or, where it is told by an engine, of the engine's."""

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="events", db_index=False)
    at = models.DateTimeField()
    kind = CharField(max_length=16)
    text = Excerpt(max_length=255, blank=True)

    class Meta:
        ordering = ("at", "pk")
        indexes = [models.Index(fields=["incident", "at"], name="event_by_incident")]

    def __str__(self) -> str:
        return f"{self.at:%H:%M:%S} {self.kind} {self.text}"

    def shown_at(self, now: datetime) -> datetime:
        """When it was, for people: an engine's clock that runs fast does not put it into the future."""
        return min(self.at, now)


class NotifiedState(models.Model):
    """What a channel was last told about an incident: only a difference to it is ever sent.

    `acknowledged`: also that somebody has seen it, which only services with incidents of their own hear.
    """

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="told")
    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, related_name="told")
    state = CharField(max_length=8)
    at = models.DateTimeField()
    acknowledged = models.BooleanField(default=False)

    class Meta:
        db_table = "instances_told"
        constraints = [models.UniqueConstraint(fields=["incident", "channel"], name="told_once_per_channel")]

    def __str__(self) -> str:
        return f"{self.channel_id} knows {self.incident_id} as {self.state}"


class Mute(models.Model):
    """Until `until` nothing is sent for an instance, a host or a plan, and nothing is healed there."""

    instance = models.ForeignKey(
        Instance, on_delete=models.CASCADE, null=True, blank=True, related_name="mutes"
    )
    host = models.ForeignKey(Host, on_delete=models.CASCADE, null=True, blank=True, related_name="mutes")
    plan = models.ForeignKey(Plan, on_delete=models.CASCADE, null=True, blank=True, related_name="mutes")
    starts_at = models.DateTimeField()
    until = models.DateTimeField()
    by = Excerpt(max_length=64)
    reason = Excerpt(max_length=255, blank=True)

    class Meta:
        indexes = [models.Index(fields=["until"], name="mute_by_end")]
        constraints = [
            models.CheckConstraint(
                condition=(
                    Q(instance__isnull=False, host=None, plan=None)
                    | Q(instance=None, host__isnull=False, plan=None)
                    | Q(instance=None, host=None, plan__isnull=False)
                ),
                name="mute_of_one_thing",
            ),
            models.CheckConstraint(condition=Q(until__gt=models.F("starts_at")), name="mute_lasts"),
        ]

    def __str__(self) -> str:
        return f"mute until {self.until:%Y-%m-%d %H:%M:%S}"
