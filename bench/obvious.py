"""The obvious way to build the same: a task per instance, `requests.get`, the ORM, prefork.

A comparison, not part of dockmgr. `celery -A bench.obvious worker` serves it.
"""

from __future__ import annotations

import os
from typing import Any

import django
import requests
from celery import Celery
from django.conf import settings
from django.db import transaction
from django.utils import timezone

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dockmgr.settings")
django.setup()

app = Celery("obvious", broker=settings.CELERY_BROKER_URL)
app.conf.task_default_queue = "obvious"
app.conf.task_ignore_result = True
app.conf.worker_pool = "prefork"
app.conf.broker_transport_options = settings.CELERY_BROKER_TRANSPORT_OPTIONS


@app.task(name="obvious.check")
def check(instance_id: int) -> None:
    """Load, ask, save state and history."""
    from instances.models import HealthCheck, Instance

    instance = Instance.objects.select_related("plan", "host", "health").get(pk=instance_id)
    began = timezone.now()
    answer = requests.get(instance.health_url, timeout=5)
    ok = answer.ok and bool(answer.json().get("ok"))
    now = timezone.now()
    with transaction.atomic():
        _save(instance.health, ok, now, answer.status_code)
        HealthCheck.objects.create(
            instance=instance,
            outcome="ok" if ok else "fail",
            status=instance.health.status,
            http_status=answer.status_code,
            latency_ms=int((now - began).total_seconds() * 1000),
            consecutive_failures=instance.health.failures,
            checked_at=now,
        )


def _save(health: Any, ok: bool, now: Any, http_status: int) -> None:
    health.status = "healthy" if ok else "unhealthy"
    health.failures = 0 if ok else health.failures + 1
    health.checked_at, health.http_status = now, http_status
    if ok:
        health.last_healthy_at = now
    health.save()


@app.task(name="obvious.sweep")
def sweep() -> None:
    """One `delay` per instance."""
    from instances.models import Instance

    for instance_id in Instance.objects.values_list("pk", flat=True):
        check.delay(instance_id)
