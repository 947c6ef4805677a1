"""An instance's health: its present state, one narrow and hot row, and when it was available."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from instances.health.state import State, Status
from instances.models.instance import Instance
from instances.models.storable import CharField, Excerpt

STATUSES = tuple((status.value, status.value) for status in Status)
STATE_FIELDS = State.__struct_fields__


class Health(models.Model):
    """The state `instances.health.state` judges by, and what the last check saw.

    `revision` grows with every write: a check or an operation applies its result only to the
    revision it read. Columns that change with every check carry no index.
    """

    instance = models.OneToOneField(Instance, on_delete=models.CASCADE, primary_key=True)
    revision = models.PositiveBigIntegerField(default=0)

    status = CharField(max_length=10, choices=STATUSES, default="unknown")
    failures = models.PositiveIntegerField(default=0)
    successes = models.PositiveIntegerField(default=0)
    restarts_used = models.PositiveIntegerField(default=0)
    restarts_helped = models.PositiveIntegerField(default=0)
    down_since = models.DateTimeField(null=True, blank=True)
    noticed_at = models.DateTimeField(null=True, blank=True)
    recovered_at = models.DateTimeField(null=True, blank=True)
    flaps = models.PositiveIntegerField(default=0)
    flaps_since = models.DateTimeField(null=True, blank=True)
    starting_since = models.DateTimeField(null=True, blank=True)
    restart_not_before = models.DateTimeField(null=True, blank=True)
    next_check_at = models.DateTimeField(null=True, blank=True)
    checked_at = models.DateTimeField(null=True, blank=True)
    last_healthy_at = models.DateTimeField(null=True, blank=True)
    last_restart_at = models.DateTimeField(null=True, blank=True)

    http_status = models.PositiveIntegerField(null=True, blank=True)
    latency_ms = models.PositiveIntegerField(null=True, blank=True)
    version = Excerpt(max_length=64, blank=True)
    container_state = Excerpt(max_length=16, blank=True)
    reason = Excerpt(max_length=32, blank=True)
    error = Excerpt(max_length=255, blank=True)
    last_sweep = models.UUIDField(null=True, blank=True, editable=False)  # whose check was applied last

    class Meta:
        verbose_name_plural = "health"
        indexes = [
            models.Index(fields=["status"], name="health_status"),
            models.Index(
                fields=["next_check_at"], condition=~Q(next_check_at=None), name="health_next_check"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.instance_id}: {self.status}"

    def state(self) -> State:
        values = {name: getattr(self, name) for name in STATE_FIELDS}
        return State(**{**values, "status": Status(self.status)})


class Transition(models.Model):
    """From `at` on the customer had `availability`, until the next one: what uptime is computed from."""

    AVAILABILITIES = tuple((name, name) for name in ("up", "down", "unknown", "unwatched"))

    instance = models.ForeignKey(
        Instance, on_delete=models.CASCADE, related_name="transitions", db_index=False
    )
    at = models.DateTimeField()
    availability = CharField(max_length=9, choices=AVAILABILITIES)

    class Meta:
        indexes = [models.Index(fields=["instance", "-at"], name="transition_by_instance")]

    def __str__(self) -> str:
        return f"{self.instance_id} {self.availability} {self.at:%Y-%m-%d %H:%M:%S}"
