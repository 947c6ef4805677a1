"""What an instance's health, and its history, keep of an observation."""

from __future__ import annotations

import re
from typing import Any

from instances.checks.observe import Check
from instances.errors import UnreadableSecret
from instances.health.response import VERSION_LENGTH
from instances.health.state import Observation, State
from instances.lib.redact import Redactor
from instances.models import HealthCheck, Instance
from instances.models.history import MOST_FAILURES

SEEN_FIELDS = ("http_status", "latency_ms", "version", "container_state", "reason", "error")
ERROR_LENGTH = 255
PLAIN_VERSION = re.compile(r"v?\d{1,6}(\.\d{1,6}){0,4}([-+](alpha|beta|rc|dev|post)?[.\d]{0,8})?")


def seen_values(instance_id: int, seen: Observation, known_version: str) -> list[Any]:
    """The columns of SEEN_FIELDS for an observation; an unseen version keeps the last one known."""
    return [
        seen.http_status,
        seen.latency_ms,
        _version(instance_id, seen.version or known_version, known_version),
        seen.container_state or "",
        seen.reason,
        seen.error[:ERROR_LENGTH],
    ]


def history_row(check: Check, state: State) -> HealthCheck:
    """The permanent record of one applied check (unsaved)."""
    seen = check.seen
    return HealthCheck(
        instance_id=check.request.instance_id,
        sweep_id=check.request.sweep_id,
        outcome=seen.outcome.value,
        reason=seen.reason,
        status=state.status.value,
        http_status=seen.http_status,
        latency_ms=seen.latency_ms,
        consecutive_failures=min(state.failures, MOST_FAILURES),
        container_state=seen.container_state or "",
        error=seen.error[:ERROR_LENGTH],
        checked_at=seen.finished_at,
    )


def _version(instance_id: int, text: str, known: str) -> str:
    """A container may call anything its version, its secrets too; what looks like none is kept as it is."""
    if text == known or PLAIN_VERSION.fullmatch(text):
        return text
    instance = Instance.objects.select_related("plan").filter(pk=instance_id).first()
    if instance is None:
        return known
    try:
        redactor = Redactor(instance.secret_values)
    except UnreadableSecret:
        return known
    return redactor.text(text, is_cut=len(text) >= VERSION_LENGTH)[:VERSION_LENGTH]
