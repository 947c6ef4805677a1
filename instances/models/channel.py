"""Where a person is told, and the messages that wait to be sent there."""

from __future__ import annotations

import uuid
from typing import Self

from django.db import models
from django.db.models import Q

from instances.models.encrypted import Encrypted
from instances.models.storable import CharField, Excerpt, JSONField

LEVELS = (("info", "info"), ("warning", "warning"), ("critical", "critical"))


class ChannelQuerySet(models.QuerySet["Channel"]):
    def told_of_incidents(self) -> Self:
        """Those by which somebody hears that something is wrong."""
        return self.filter(enabled=True, incidents=True)


class Channel(models.Model):
    """A place notifications go to. The URL holds credentials and is encrypted.

    It is told of `incidents`, of `operations` that end, or of both. The lists of names say whom it is
    for; an empty one stands for all. In quiet hours (`timezone`) only critical incidents go out. With
    `escalate_after` it is a second line: told only of critical incidents that nobody acknowledged for
    that many seconds.

    Messages go out in order: the process that holds the lease delivers, and after a failure nobody tries
    again before `retry_at`. A refusal for good disables the channel, and so do too many `refusals` of
    messages for what is in them, one after the other.
    """

    name = CharField(max_length=64, unique=True)
    url = Encrypted()
    min_level = CharField(max_length=8, choices=LEVELS, default="info")
    hosts = JSONField(default=list, blank=True)
    plans = JSONField(default=list, blank=True)
    customers = JSONField(default=list, blank=True)
    quiet_from = models.TimeField(null=True, blank=True)
    quiet_to = models.TimeField(null=True, blank=True)
    timezone = CharField(max_length=64, default="UTC")
    escalate_after = models.FloatField(null=True, blank=True)
    incidents = models.BooleanField(default=True)
    operations = models.BooleanField(default=False)
    enabled = models.BooleanField(default=True)
    disabled_reason = Excerpt(max_length=255, blank=True)
    failures = models.PositiveIntegerField(default=0)
    refusals = models.PositiveIntegerField(default=0, editable=False)
    retry_at = models.DateTimeField(null=True, blank=True, editable=False)
    lease_expires_at = models.DateTimeField(null=True, blank=True, editable=False)
    token = models.PositiveIntegerField(default=0, editable=False)

    objects = ChannelQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(quiet_from=None, quiet_to=None)
                | Q(quiet_from__isnull=False, quiet_to__isnull=False),
                name="quiet_hours_have_both_ends",
            ),
            models.CheckConstraint(
                condition=Q(incidents=True) | Q(operations=True), name="channel_is_told_of_something"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Notification(models.Model):
    """The outbox: one message to one channel. Its id goes with it, so a receiver can tell a repetition.

    Rows that went out together point at their `digest`. `payload` is the documented document.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, related_name="notifications")
    incident = models.ForeignKey(
        "instances.Incident", on_delete=models.SET_NULL, null=True, related_name="notifications"
    )
    digest = models.ForeignKey("self", on_delete=models.SET_NULL, null=True, related_name="parts")
    kind = CharField(max_length=16)
    level = CharField(max_length=8, choices=LEVELS)
    payload = JSONField(default=dict)
    created_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True)
    given_up_at = models.DateTimeField(null=True)
    tries = models.PositiveIntegerField(default=0)
    error = Excerpt(max_length=255, blank=True)

    class Meta:
        ordering = ("created_at", "pk")
        indexes = [
            models.Index(
                fields=["channel", "created_at"],
                condition=Q(sent_at=None, given_up_at=None),
                name="notification_waiting",
            ),
            models.Index(fields=["channel", "-sent_at"], name="notification_sent"),
            models.Index(fields=["-created_at"], name="notification_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.level} to {self.channel_id}"


class Pulse(models.Model):
    """When a part of dockmgr last showed that it lives, or what all processes must know of last happened."""

    name = CharField(max_length=64, primary_key=True)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name} {self.at:%H:%M:%S}"
