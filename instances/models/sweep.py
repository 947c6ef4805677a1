"""One pass over all active instances."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q

from instances.models.storable import CharField, Excerpt


class Sweep(models.Model):
    """A sweep counts its own progress: each batch of recorded checks adds to `done`.

    `slot` is unique, so two beats make one sweep; only one sweep can be `running`. An `attended`
    sweep runs until the process that waits for it has seen its healing to the end. `progress_at` is when
    a check of it was recorded last, or what was left of it was published anew.
    """

    STATES = (("running", "running"), ("finished", "finished"), ("incomplete", "incomplete"))

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    slot = models.DateTimeField(null=True, unique=True)
    state = CharField(max_length=10, choices=STATES, default="running")
    requested_by = Excerpt(max_length=64, default="beat")
    attended = models.BooleanField(default=False)
    total = models.PositiveIntegerField(default=0)
    done = models.PositiveIntegerField(default=0)
    started_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    progress_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["-started_at"], name="sweep_by_start")]
        constraints = [
            models.UniqueConstraint(fields=["state"], condition=Q(state="running"), name="one_running_sweep")
        ]

    def __str__(self) -> str:
        return f"sweep {self.started_at:%Y-%m-%d %H:%M:%S} {self.state} {self.done}/{self.total}"
