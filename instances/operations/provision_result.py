"""What whoever ordered a provisioning is told of its end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from instances import documents
from instances.models import Operation
from instances.operations.steps.generated import shown_once
from instances.operations.validate import Validation, validate
from instances.outside import Outside


@dataclass(frozen=True)
class ProvisionResult:
    """How a provisioning ended; `logs` are the container's last lines when it failed.

    `generated` are the secrets it made, for a caller who asked to be shown them, once.
    """

    success: bool
    customer_id: str
    access_url: str | None
    deploy_time_ms: int
    error: str | None
    logs: list[str] = field(default_factory=list)
    validation: Validation | None = None
    generated: dict[str, str] | None = field(default=None, repr=False)

    def document(self) -> dict[str, Any]:
        validation = self.validation.document() if self.validation else None
        document = {**self.__dict__, "validation": validation}
        if self.generated is None:
            del document["generated"]
        return document


def provision_result(
    operation: Operation,
    outside: Outside,
    *,
    show_generated: bool = False,
    in_full: bool = False,
) -> ProvisionResult:
    """What a finished provisioning has to say, its instance validated if there is one.

    `in_full` with what a registry said.
    """
    instance = operation.instance
    success = operation.status == "succeeded" and instance is not None
    began, ended = operation.started_at or operation.created_at, operation.finished_at
    return ProvisionResult(
        success=success,
        customer_id=operation.customer_id,
        access_url=instance.access_url if success and instance else None,
        deploy_time_ms=int((ended - began).total_seconds() * 1000) if ended else 0,
        error=(documents.told_in_full(operation) if in_full else operation.error) or None,
        logs=operation.facts.get("logs", []),
        validation=validate(instance, outside) if success and instance else None,
        generated=shown_once(operation) if success and show_generated else None,
    )
