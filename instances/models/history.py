"""The history of checks: themselves for days, their sums by the hour for weeks and by the day for years."""

from __future__ import annotations

from django.db import models

from instances.health.response import Outcome
from instances.health.state import Status
from instances.models.coded import Coded
from instances.models.instance import Instance
from instances.models.storable import CharField, Excerpt
from instances.models.sweep import Sweep

# A place in these is what is kept of a word: add at the end, and change nothing else.
OUTCOMES = (Outcome.OK, Outcome.FAIL, Outcome.STARTING, Outcome.UNKNOWN)
CHECKED_STATUSES = (
    Status.UNKNOWN, Status.STARTING, Status.HEALTHY, Status.SUSPECT, Status.UNHEALTHY, Status.RESTARTING,
    Status.FAILED, Status.PAUSED,
)  # fmt: skip
CONTAINER_STATES = (
    "", "created", "running", "paused", "restarting", "removing", "exited", "dead", "stopped", "configured",
    "initialized", "stopping", "other",
)  # fmt: skip
MOST_FAILURES = 32_767  # in a row, that a row of the history can say


class HealthCheck(models.Model):
    """A probe that was judged and recorded, of those that are kept: see `checks.kept_rules`.

    On PostgreSQL the table has a partition for each day (see `db.partitions`); `id` has no index of its
    own there but a summary by blocks, so look rows up by instance or time. Nothing refers to a row, and
    rows refer to instances and sweeps without a constraint: a sweep may be forgotten before its checks.
    """

    checked_at = models.DateTimeField()
    instance = models.ForeignKey(
        Instance, on_delete=models.CASCADE, related_name="checks", db_index=False, db_constraint=False
    )
    sweep = models.ForeignKey(
        Sweep,
        on_delete=models.DO_NOTHING,
        null=True,
        related_name="checks",
        db_index=False,
        db_constraint=False,
    )
    latency_ms = models.IntegerField(null=True)
    http_status = models.SmallIntegerField(null=True)
    consecutive_failures = models.SmallIntegerField()
    outcome = Coded(words=OUTCOMES)
    status = Coded(words=CHECKED_STATUSES)
    container_state = Coded(words=CONTAINER_STATES, otherwise="other", default="")
    reason = Excerpt(max_length=32, blank=True)
    error = Excerpt(max_length=255, blank=True)

    class Meta:
        db_table = "instances_check"
        indexes = [
            models.Index(fields=["instance"], name="check_of_instance"),
            models.Index(fields=["checked_at"], name="check_at_time"),
        ]

    def __str__(self) -> str:
        return f"{self.instance_id} {self.outcome} {self.checked_at:%Y-%m-%d %H:%M:%S}"


class FormerCheck(models.Model):
    """A check in the table of former releases; `fleet.former_checks` moves it on."""

    instance = models.ForeignKey(Instance, on_delete=models.CASCADE, related_name="+", db_index=False)
    sweep = models.ForeignKey(Sweep, on_delete=models.SET_NULL, null=True, related_name="+", db_index=False)
    outcome = CharField(max_length=8)
    reason = Excerpt(max_length=32, blank=True)
    status = CharField(max_length=10)
    http_status = models.PositiveIntegerField(null=True)
    latency_ms = models.PositiveIntegerField(null=True)
    consecutive_failures = models.PositiveIntegerField()
    container_state = Excerpt(max_length=16, blank=True)
    error = Excerpt(max_length=255, blank=True)
    checked_at = models.DateTimeField()

    class Meta:
        db_table = "instances_healthcheck"
        default_permissions = ()
        indexes = [
            models.Index(fields=["instance", "-checked_at"], name="check_by_instance"),
            models.Index(fields=["sweep", "-latency_ms"], name="check_by_sweep"),
        ]

    def __str__(self) -> str:
        return f"{self.instance_id} {self.outcome} {self.checked_at:%Y-%m-%d %H:%M:%S}"


class Sums(models.Model):
    """What became of an instance in a stretch of time that began `at`.

    `kept` are rows of the history (successes are thinned), of which `failures` failed and `unknown` saw
    nothing; `up` and `down` are seconds, from its transitions; the rest, in which nobody knew or watched,
    is in neither.
    Latencies are in milliseconds, None where nothing answered.
    """

    instance = models.ForeignKey(
        Instance, on_delete=models.CASCADE, related_name="+", db_index=False, db_constraint=False
    )
    at = models.DateTimeField()
    latency_min = models.IntegerField(null=True)
    latency_avg = models.IntegerField(null=True)
    latency_max = models.IntegerField(null=True)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.instance_id} {self.at:%Y-%m-%d %H:%M}"


class CheckHour(Sums):
    """An hour, in UTC."""

    pk = models.CompositePrimaryKey("instance_id", "at")
    kept = models.SmallIntegerField(default=0)
    failures = models.SmallIntegerField(default=0)
    unknown = models.SmallIntegerField(default=0)
    up = models.SmallIntegerField(default=0)
    down = models.SmallIntegerField(default=0)


class CheckDay(Sums):
    """A day, in UTC."""

    pk = models.CompositePrimaryKey("instance_id", "at")
    kept = models.IntegerField(default=0)
    failures = models.IntegerField(default=0)
    unknown = models.IntegerField(default=0)
    up = models.IntegerField(default=0)
    down = models.IntegerField(default=0)


class HistoryProgress(models.Model):
    """How far a roll-up (`hours`, `days`) is: all before `at`, and of `at` itself up to that instance."""

    name = CharField(max_length=16, primary_key=True)
    at = models.DateTimeField()
    instance_id = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.name} {self.at:%Y-%m-%d %H:%M} {self.instance_id}"
