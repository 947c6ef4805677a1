"""What customers see of their instances from outside, at the public address of their plan."""

from __future__ import annotations

from django.db import models

from instances.models.health import Transition
from instances.models.instance import Instance
from instances.models.storable import CharField, Excerpt


class OutsideCheck(models.Model):
    """The last look at an instance's public address.

    `fault` is whose trouble a failure is (see `health.diagnosis`), `failures` in a row since `failing_since`.
    `proxy` are the addresses its name stands for, `zone` is the domain above it.
    """

    instance = models.OneToOneField(
        Instance, on_delete=models.CASCADE, primary_key=True, related_name="outside"
    )
    next_at = models.DateTimeField(db_index=True)
    asked_at = models.DateTimeField(null=True)
    url = CharField(max_length=600, blank=True)
    outcome = CharField(max_length=8, blank=True)
    fault = CharField(max_length=8, blank=True)
    error = Excerpt(max_length=255, blank=True)
    http_status = models.PositiveIntegerField(null=True)
    latency_ms = models.PositiveIntegerField(null=True)
    failures = models.PositiveIntegerField(default=0)
    failing_since = models.DateTimeField(null=True)
    proxy = Excerpt(max_length=160, blank=True)
    zone = CharField(max_length=253, blank=True)
    certificate = CharField(max_length=64, blank=True)
    certificate_begins = models.DateTimeField(null=True)
    certificate_ends = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.url} {self.outcome} {self.fault}"


class OutsideTransition(models.Model):
    """From `at` on the customer had `availability` as seen from outside, until the next one."""

    instance = models.ForeignKey(Instance, on_delete=models.CASCADE, db_index=False)
    at = models.DateTimeField()
    availability = CharField(max_length=9, choices=Transition.AVAILABILITIES)

    class Meta:
        indexes = [models.Index(fields=["instance", "-at"], name="outside_by_instance")]

    def __str__(self) -> str:
        return f"{self.instance_id} {self.availability} {self.at:%Y-%m-%d %H:%M:%S}"
