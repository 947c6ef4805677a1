"""One order for many instances, carried out a few at a time."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q

from instances.models.storable import CharField, Excerpt, JSONField


class Bulk(models.Model):
    """What somebody asked for a selection of instances, and how far it has come.

    `instances` holds all their keys in the order of the selection, `pending` those whose turn has not
    come, `refused` one sentence for each customer whose instance could not be taken. What became of
    the others is in their operations, whose request ids begin with `request_prefix`.

    An order advances in turns, each brought about by a message that carries the number of its `turn`;
    a message with another number is a duplicate. `due_at` is when the next turn should be.
    """

    VERBS = tuple((verb, verb) for verb in ("check", "restart", "update", "pause"))

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    verb = CharField(max_length=8, choices=VERBS)
    by = Excerpt(max_length=64)
    reason = Excerpt(max_length=255, blank=True)
    created_at = models.DateTimeField()
    instances = JSONField(default=list)
    pending = JSONField(default=list)
    refused = JSONField(default=dict)
    turn = models.PositiveIntegerField(default=0)
    due_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "selection"
        indexes = [
            models.Index(fields=["-created_at"], name="bulk_by_time"),
            models.Index(fields=["due_at"], condition=~Q(due_at=None), name="bulk_due"),
        ]

    def __str__(self) -> str:
        return f"{self.verb} of {len(self.instances)} instances"

    @property
    def request_prefix(self) -> str:
        return f"bulk:{self.pk}:"
