"""Documents of the database's rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Any, TypeVar, cast, overload

import msgspec

from instances.documents import shapes
from instances.documents.past_shapes import Past
from instances.health.response import Outcome
from instances.health.state import Observation, Status, is_healed
from instances.models import ApiToken, Health, HealthCheck, Instance, LastWords, Operation, Sweep

Document = dict[str, Any]
Form = TypeVar("Form")
BAD = frozenset({Status.SUSPECT, Status.UNHEALTHY, Status.FAILED})


@overload
def time(moment: datetime) -> str: ...
@overload
def time(moment: datetime | None) -> str | None: ...
def time(moment: datetime | None) -> str | None:
    """RFC 3339 in UTC."""
    return moment.isoformat().replace("+00:00", "Z") if moment else None


def check(health: Health) -> shapes.Check:
    return {
        "customer_id": health.instance.customer_id,
        "status": health.status,
        "healthy": health.status == Status.HEALTHY,
        "http_status": health.http_status,
        "latency_ms": health.latency_ms,
        "version": health.version or None,
        "container_state": health.container_state or None,
        "reason": health.reason or None,
        "error": health.error or None,
        "consecutive_failures": health.failures,
        "checked_at": time(health.checked_at),
    }


def fresh_check(health: Health, seen: Observation, not_applied: str) -> shapes.Check:
    """CHECK of a check that was just made; when it did not count, what it saw beside the status that stays.

    Its version is left out then: what a container calls so is only shown once it has been redacted.
    """
    document = check(health)
    if not_applied:
        document |= {
            "healthy": document["healthy"] and seen.outcome is Outcome.OK,
            "http_status": seen.http_status,
            "latency_ms": seen.latency_ms,
            "container_state": seen.container_state or None,
            "reason": seen.reason or None,
            "error": seen.error or None,
            "checked_at": time(seen.finished_at),
        }
    return {**document, "applied": not not_applied, "not_applied": not_applied or None}


def checks(documents: Iterable[shapes.Check]) -> shapes.Checks:
    """CHECKs by customer, with their sums."""
    ordered = sorted(documents, key=lambda document: document["customer_id"])
    sums = Counter(
        "healthy" if row["healthy"] else "unhealthy" if row["status"] in BAD else "unknown" for row in ordered
    )
    return {
        "instances": ordered,
        "healthy": sums["healthy"],
        "unhealthy": sums["unhealthy"],
        "unknown": sums["unknown"],
    }


def operation(row: Operation, *, in_full: bool = False) -> shapes.Operation:
    """OPERATION; `in_full` with what a registry said, which is for admins alone."""
    document: shapes.Operation = {
        "id": str(row.pk),
        "kind": row.kind,
        "customer_id": row.customer_id,
        "status": row.status,
        "steps": _noted(list[shapes.Step], row.steps),
        "error": (told_in_full(row) if in_full else row.error) or None,
        "image_before": row.image_before or None,
        "image_after": row.image_after or None,
        "requested_by": row.requested_by,
        "reason": row.reason or None,
        "automatic": row.automatic,
        "created_at": time(row.created_at),
        "started_at": time(row.started_at),
        "finished_at": time(row.finished_at),
    }
    if row.kind == "update":
        document["changed"] = not _noted(Document, row.facts).get("unchanged", False)
    return document


def told_in_full(row: Operation) -> str:
    """Why an operation failed, with a registry's own words where it was one that refused."""
    said = str(_noted(Document, row.facts).get("registry_said") or "")
    return f"{row.error} The registry said: {said}" if row.error and said else row.error


def _noted(form: type[Form], column: Any) -> Form:
    """What a row notes, as it stands; nothing where another release gave it another form."""
    try:
        msgspec.convert(column, form)
    except msgspec.ValidationError:
        return form()
    return cast(Form, column)


def instance(row: Instance) -> shapes.Instance:
    return {
        "customer_id": row.customer_id,
        "subdomain": row.subdomain,
        "plan": row.plan.name,
        "host": row.host.name,
        "status": row.health.status,
        "version": row.health.version or None,
        "image": row.image_ref,
        "image_id": row.image_id or None,
        "image_digest": row.image_digest or None,
        "volumes": _noted(dict[str, str], row.held_volumes),
        "host_access": host_access(row),
        "container": row.container_name,
        "finding": cast(shapes.FindingCode | None, row.finding or None),
        "finding_since": time(row.finding_since),
        "port": row.port,
        "access_url": row.access_url,
        "consecutive_failures": row.health.failures,
        "down_since": time(row.health.down_since),
        "last_healthy_at": time(row.health.last_healthy_at),
        "never_healthy": not is_healed(row.health.state()),
        "last_restart_at": time(row.health.last_restart_at),
        "paused_at": time(row.paused_at),
        "paused_by": row.paused_by or None,
        "pause_reason": row.pause_reason or None,
        "leaving_at": time(row.leaving_at),
        "created_at": time(row.created_at),
    }


def host_access(row: Instance) -> shapes.HostAccess | None:
    """How an instance's container reaches its host, and who accepted that."""
    found = row.reaches_host
    if found is None:
        return None
    return {"items": found["items"], "accepted_by": found["by"], "accepted_at": found["at"] or None}


def token(row: ApiToken) -> Document:
    """What a token may do and when it was used; `prefix` tells it from others and opens nothing."""
    return {
        "name": row.name,
        "scope": row.scope,
        "customers": row.customers,
        "plans": row.plans,
        "hosts": row.hosts,
        "prefix": row.prefix,
        "created_by": row.created_by,
        "created_at": time(row.created_at),
        "expires_at": time(row.expires_at),
        "revoked_at": time(row.revoked_at),
        "last_used_at": time(row.last_used_at),
    }


def history(row: HealthCheck) -> Past:
    return {
        "checked_at": time(row.checked_at),
        "outcome": row.outcome,
        "reason": row.reason or None,
        "status": row.status,
        "http_status": row.http_status,
        "latency_ms": row.latency_ms,
        "consecutive_failures": row.consecutive_failures,
        "container_state": row.container_state or None,
        "error": row.error or None,
    }


def sweep(row: Sweep) -> shapes.Sweep:
    return {
        "id": str(row.pk),
        "state": row.state,
        "requested_by": row.requested_by,
        "total": row.total,
        "done": row.done,
        "started_at": time(row.started_at),
        "finished_at": time(row.finished_at),
    }


def last_words(row: LastWords) -> shapes.LastWords:
    """LAST WORDS of one container."""
    return {
        "container_id": row.container_id,
        "at": time(row.at),
        "operation_id": str(row.operation_id) if row.operation_id else None,
        "incident_id": row.incident_id,
        "lines": row.lines,
        "truncated": row.truncated,
    }


def operation_log(operation: Operation) -> shapes.OperationLog:
    """What was kept of the containers that an operation stopped or removed."""
    return {
        "operation_id": str(operation.pk),
        "customer_id": operation.customer_id,
        "logs": [last_words(row) for row in operation.last_words.all()],
    }
