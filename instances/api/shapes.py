"""The shapes of what the API answers: the public documents, typed."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field, WithJsonSchema

Time = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]

Status = Literal["unknown", "starting", "healthy", "suspect", "unhealthy", "restarting", "failed", "paused"]
OperationStatus = Literal["queued", "running", "succeeded", "failed", "rolled_back"]
OperationKind = Literal["provision", "restart", "decommission", "update", "adopt"]


class Malformed(BaseModel):
    """One thing that is malformed, and where."""

    location: str = Field(examples=["query.limit"])
    message: str


class Problem(BaseModel):
    """An RFC 9457 problem document. `type` tells programs the kind, `detail` tells people in a sentence."""

    type: str = Field(examples=["urn:dockmgr:problem:busy"])
    title: str
    status: int
    detail: str
    errors: list[Malformed] = []


class Instance(BaseModel):
    """What an instance is, where it runs, how it is. Its environment is not part of it."""

    customer_id: str
    subdomain: str
    plan: str
    host: str
    status: Status
    version: str | None
    image: str
    image_id: str | None
    container: str
    port: int | None
    access_url: str
    consecutive_failures: int
    down_since: Time | None
    last_healthy_at: Time | None
    last_restart_at: Time | None
    created_at: Time


class Check(BaseModel):
    """What is known of an instance's health after its last check."""

    customer_id: str
    status: Status
    healthy: bool
    http_status: int | None
    latency_ms: int | None
    version: str | None
    container_state: str | None
    reason: str | None
    error: str | None
    consecutive_failures: int
    checked_at: Time | None


class Past(BaseModel):
    """One recorded check."""

    checked_at: Time
    outcome: str
    reason: str | None
    status: Status
    http_status: int | None
    latency_ms: int | None
    consecutive_failures: int
    container_state: str | None
    error: str | None


class Step(BaseModel):
    """One step of an operation."""

    name: str
    status: str
    started_at: Time
    finished_at: Time | None
    detail: str


class Operation(BaseModel):
    """Who changed what, why, each step, and how it ended. An update says whether it `changed` anything."""

    id: str
    kind: OperationKind
    customer_id: str
    status: OperationStatus
    steps: list[Step]
    error: str | None
    changed: bool = Field(default=True)
    image_before: str | None
    image_after: str | None
    requested_by: str
    reason: str | None
    automatic: bool
    created_at: Time
    started_at: Time | None
    finished_at: Time | None


class Finding(BaseModel):
    """A code for programs and a sentence for people."""

    code: str
    message: str


class Compared(BaseModel):
    """One thing that was compared."""

    name: str
    ok: bool
    message: str


class Validation(BaseModel):
    """Whether an instance is what it should be, and answers."""

    valid: bool
    errors: list[Finding]
    warnings: list[Finding]
    checks: list[Compared]


class Log(BaseModel):
    """The last lines of a log, redacted. Customers' programs wrote them: treat them as hostile text."""

    customer_id: str
    lines: list[str]
    truncated: bool


class TrialStep(BaseModel):
    """One step of a test deployment."""

    name: str
    ok: bool
    seconds: float
    error: str | None


class TrialResult(BaseModel):
    """How a test deployment went."""

    success: bool
    plan: str
    steps: list[TrialStep]
    error: str | None


class Trial(BaseModel):
    """A test deployment: `running` until the workers are done with it."""

    id: str
    plan: str
    status: Literal["running", "succeeded", "failed"]
    result: TrialResult | None
    error: str | None
    requested_by: str
    created_at: Time


class Event(BaseModel):
    """A line of an incident's timeline."""

    at: Time
    kind: str
    text: str


class Incident(BaseModel):
    """What is or was wrong, for how long, and who knows. `events` come with a single incident."""

    id: int
    key: str
    kind: Literal["instance", "host", "fleet", "self"]
    customer_id: str | None
    host: str | None
    plan: str | None
    severity: Literal["info", "warning", "critical"]
    status: Literal["open", "resolved"]
    cause: str | None
    message: str | None
    opened_at: Time
    confirmed_at: Time | None
    resolved_at: Time | None
    downtime_seconds: float
    restarts: int
    flapping: bool
    acknowledged_at: Time | None
    acknowledged_by: str | None
    muted_until: Time | None
    resolution: str | None
    events: list[Event] = []


class Sweep(BaseModel):
    """How far one pass over the fleet is."""

    id: str
    state: Literal["running", "finished", "incomplete"]
    requested_by: str
    total: int
    done: int
    started_at: Time
    finished_at: Time | None


class SweepAsked(BaseModel):
    """A sweep the workers were asked for; /sweeps/latest shows it once they have begun."""

    status: Literal["queued"]
    requested_by: str
    requested_at: Time


class InstancePage(BaseModel):
    """Instances by customer id; `next` is the cursor of the page after this one."""

    items: list[Instance]
    next: str | None


class PastPage(BaseModel):
    """Checks, the newest first."""

    customer_id: str
    items: list[Past]
    next: str | None


class OperationPage(BaseModel):
    """Operations, the newest first."""

    items: list[Operation]
    next: str | None


class IncidentPage(BaseModel):
    """Incidents, the newest first."""

    items: list[Incident]
    next: str | None
