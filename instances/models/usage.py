"""What instances use: the last reading of each, and sums by hour and by day."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from instances.models.instance import Instance
from instances.models.storable import CharField, JSONField


class Consumed(models.Model):
    """What was used in a stretch of time. Bytes; `memory_seconds` are bytes times seconds read.

    `seconds` is how long it was seen running; `disk_seconds` are bytes on disk times seconds, whether it
    ran or not.
    """

    seconds = models.FloatField(default=0)
    cpu_seconds = models.FloatField(default=0)
    memory_seconds = models.FloatField(default=0)
    memory_peak = models.BigIntegerField(default=0)
    received = models.BigIntegerField(default=0)
    sent = models.BigIntegerField(default=0)
    block_read = models.BigIntegerField(default=0)
    block_written = models.BigIntegerField(default=0)
    periods = models.BigIntegerField(default=0)
    throttled = models.BigIntegerField(default=0)
    disk_seconds = models.FloatField(default=0)
    disk_peak = models.BigIntegerField(default=0)

    class Meta:
        abstract = True


CONSUMED = tuple(field.name for field in Consumed._meta.fields)
PEAKS = ("memory_peak", "disk_peak")


class Usage(Consumed):
    """The last reading of an instance's container, and what it used in the hour under way.

    `counters` are those of the reading, by name. `near` counts readings in a row near each limit, and
    `warned` names what there is a warning about. `disk` is what its container's own files and its volumes
    hold, `on_disk` the same by volume, under "" that of the container. At `oom_at`, by its engine's clock,
    the kernel last killed a process of it; since `oom_since` nobody has found out yet which.
    """

    instance = models.OneToOneField(Instance, on_delete=models.CASCADE, primary_key=True)
    next_read_at = models.DateTimeField()
    read_at = models.DateTimeField(null=True)
    container_id = CharField(max_length=64, blank=True)
    counters = JSONField(null=True)
    cpu_percent = models.FloatField(null=True)
    memory = models.BigIntegerField(null=True)
    memory_limit = models.BigIntegerField(default=0)
    pids = models.PositiveIntegerField(null=True)
    pids_limit = models.BigIntegerField(default=0)
    near = JSONField(default=dict)
    warned = JSONField(default=list)
    hour = models.DateTimeField(null=True)
    disk = models.BigIntegerField(null=True)
    on_disk = JSONField(default=dict)
    disk_read_at = models.DateTimeField(null=True)
    oom_at = models.DateTimeField(null=True)
    oom_since = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "usage"
        indexes = [
            models.Index(fields=["oom_since"], condition=~Q(oom_since=None), name="usage_oom_to_judge")
        ]

    def __str__(self) -> str:
        return f"{self.instance_id} {self.memory} bytes"


class UsageHour(Consumed):
    """What an instance used in the hour that begins `at`."""

    instance = models.ForeignKey(Instance, on_delete=models.CASCADE, db_index=False)
    at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["at"], name="usage_hour_by_time")]
        constraints = [models.UniqueConstraint(fields=["instance", "at"], name="usage_once_an_hour")]

    def __str__(self) -> str:
        return f"{self.instance_id} {self.at:%Y-%m-%d %H}"


class UsageDay(Consumed):
    """What an instance used in the day that begins `at`, in UTC."""

    instance = models.ForeignKey(Instance, on_delete=models.CASCADE, db_index=False)
    at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["at"], name="usage_day_by_time")]
        constraints = [models.UniqueConstraint(fields=["instance", "at"], name="usage_once_a_day")]

    def __str__(self) -> str:
        return f"{self.instance_id} {self.at:%Y-%m-%d}"
