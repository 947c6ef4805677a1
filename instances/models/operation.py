"""A recorded change to an instance: journal and lock in one row."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q

from instances.models.instance import Instance
from instances.models.storable import CharField, Excerpt, JSONField, TextField


class Operation(models.Model):
    """Who changed what, why, each step, and how it ended.

    While `finished_at` is empty the row is also the lock: at most one per customer, by constraint.
    The holder keeps `lease_expires_at` ahead of the clock; after that anybody may take the
    operation over, which raises `token` and thereby shuts the old holder out. `interrupts` holds from
    the beginning of a step that cuts the customer off until one begins that does not. `handed_over_at`
    is when the workers were last sent a message about it.
    """

    KINDS = tuple((kind, kind) for kind in ("provision", "restart", "decommission", "update", "adopt"))
    STATUSES = tuple(
        (status, status) for status in ("queued", "running", "succeeded", "failed", "rolled_back")
    )

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = CharField(max_length=16, choices=KINDS)
    instance = models.ForeignKey(Instance, on_delete=models.SET_NULL, null=True, related_name="operations")
    customer_id = CharField(max_length=63)
    host = models.ForeignKey("instances.Host", on_delete=models.SET_NULL, null=True, related_name="+")
    status = CharField(max_length=12, choices=STATUSES, default="queued")
    request_id = CharField(max_length=128, null=True, unique=True)
    requested_by = Excerpt(max_length=64)
    reason = Excerpt(max_length=255, blank=True)
    automatic = models.BooleanField(default=False)
    params = JSONField(default=dict)
    facts = JSONField(default=dict)
    steps = JSONField(default=list)
    undoing = models.BooleanField(default=False)
    interrupts = models.BooleanField(default=False)
    error = TextField(blank=True)
    image_before = CharField(max_length=80, blank=True)
    image_after = CharField(max_length=80, blank=True)
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    lease_owner = CharField(max_length=128, blank=True)
    lease_expires_at = models.DateTimeField()
    token = models.PositiveIntegerField(default=0)
    tries = models.PositiveIntegerField(default=0)
    handed_over_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["-created_at", "-id"], name="operation_by_time"),
            models.Index(fields=["customer_id", "-created_at"], name="operation_by_customer"),
            models.Index(
                fields=["lease_expires_at"], condition=Q(finished_at=None), name="operation_unfinished"
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["customer_id"], condition=Q(finished_at=None), name="one_unfinished_operation"
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.customer_id} {self.status}"
