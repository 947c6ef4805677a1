"""What happened to incidents and operations, in the order in which it is told to whoever follows it."""

from __future__ import annotations

from django.db import models

from instances.models.incident import Incident
from instances.models.operation import Operation
from instances.models.storable import CharField, Excerpt


class FeedEvent(models.Model):
    """One change of an incident or an operation, written in the transaction that makes it.

    Its id says its place. Ids are taken before they are committed, so one may come after a higher one.
    """

    at = models.DateTimeField()
    change = CharField(max_length=16)
    text = Excerpt(max_length=255, blank=True)
    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, null=True, db_index=False)
    operation = models.ForeignKey(Operation, on_delete=models.CASCADE, null=True, db_index=False)

    class Meta:
        indexes = [models.Index(fields=["at"], name="feed_by_time")]

    def __str__(self) -> str:
        return f"{self.pk} {self.change}"
