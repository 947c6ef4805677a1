"""Numbers that only grow: what happened how often, over all processes together."""

from __future__ import annotations

from django.db import models

from instances.models.storable import CharField


class Tally(models.Model):
    """One number. `instances.counters` says what the keys mean and is the only one that writes."""

    key = CharField(max_length=96, primary_key=True)
    value = models.PositiveBigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.key}={self.value}"
