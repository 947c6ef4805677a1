"""The shapes of the public contract's documents: one set for commands, tasks and the API.

Times are RFC 3339 in UTC; durations say their unit. Builders are where the data is: `documents.rows`,
`incidents.documents`, `operations.validate`, `fleet.trial`.
"""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired

from typing_extensions import TypedDict

from instances import models
from instances.documents.schema import Schema, one_of
from instances.health import state
from instances.models.channel import LEVELS

Time = Annotated[str, Schema(format="date-time")]
Status = Annotated[str, Schema(enum=[status.value for status in state.Status])]


class Check(TypedDict):
    """What is known of an instance's health after its last check.

    A check that was asked for also says whether it was `applied`. If not, `not_applied` says why, and all but
    `status`, `version` and `consecutive_failures` is what it saw.
    """

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
    applied: NotRequired[bool]
    not_applied: NotRequired[str | None]


class Checks(TypedDict):
    """All checks with their sums; starting and restarting instances count as unknown."""

    instances: list[Check]
    healthy: int
    unhealthy: int
    unknown: int


class Step(TypedDict):
    """One step of an operation."""

    name: str
    status: str
    started_at: Time
    finished_at: Time | None
    detail: str


class Operation(TypedDict):
    """Who changed what, why, each step, and how it ended. An update says whether it `changed` anything."""

    id: str
    kind: Annotated[str, one_of(models.Operation.KINDS)]
    customer_id: str
    status: Annotated[str, one_of(models.Operation.STATUSES)]
    steps: list[Step]
    error: str | None
    changed: NotRequired[bool]
    image_before: str | None
    image_after: str | None
    requested_by: str
    reason: str | None
    automatic: bool
    created_at: Time
    started_at: Time | None
    finished_at: Time | None


class HostAccess(TypedDict):
    """How a container reaches its host beyond its own walls; a plan's word for it has no time."""

    items: list[str]
    accepted_by: str
    accepted_at: Time | None


FindingCode = Literal["renamed", "replaced", "paused"]


class Instance(TypedDict):
    """What an instance is, where it runs, how it is. Its environment is not part of it.

    One that is `never_healthy` was not once seen healthy and is not restarted automatically.
    """

    customer_id: str
    subdomain: str
    plan: str
    host: str
    status: Status
    version: str | None
    image: str
    image_id: str | None
    image_digest: str | None
    volumes: dict[str, str]
    host_access: HostAccess | None
    container: str
    finding: FindingCode | None
    finding_since: Time | None
    port: int | None
    access_url: str
    consecutive_failures: int
    down_since: Time | None
    last_healthy_at: Time | None
    never_healthy: bool
    last_restart_at: Time | None
    paused_at: Time | None
    paused_by: str | None
    pause_reason: str | None
    leaving_at: Time | None
    created_at: Time


class Sweep(TypedDict):
    """How far one pass over the fleet is."""

    id: str
    state: Annotated[str, one_of(models.Sweep.STATES)]
    requested_by: str
    total: int
    done: int
    started_at: Time
    finished_at: Time | None


class Log(TypedDict):
    """The last lines of a log, redacted. Customers' programs wrote them: treat them as hostile text."""

    customer_id: str
    lines: list[str]
    truncated: bool


class Orphan(TypedDict):
    """A container or volume of dockmgr that no instance has, and why it is one."""

    host: str
    kind: str
    name: str
    customer_id: str
    state: str
    why: str


class Orphans(TypedDict):
    """What was found, and a sentence for each host whose engine does not answer."""

    orphans: list[Orphan]
    unanswered: list[str]


class LastWords(TypedDict):
    """The end of a container's log before it was stopped or removed, or when it was found dead; redacted."""

    container_id: str
    at: Time
    operation_id: str | None
    incident_id: int | None
    lines: list[str]
    truncated: bool


class OperationLog(TypedDict):
    """What the containers wrote last that an operation stopped or removed. Treat it as hostile text."""

    operation_id: str
    customer_id: str
    logs: list[LastWords]


class Usage(TypedDict):
    """What a customer used in a period: while its container was seen running, and on disk all the time.

    `since` is the beginning of the hour, or the day, with which the sums begin: not after what was asked for.
    """

    customer_id: str
    plan: str
    since: Time
    until: Time
    running_seconds: int
    cpu_seconds: float
    memory_gib_hours: float
    memory_average_bytes: int
    memory_peak_bytes: int
    received_bytes: int
    sent_bytes: int
    block_read_bytes: int
    block_written_bytes: int
    disk_gib_hours: float
    disk_peak_bytes: int


class Event(TypedDict):
    """A line of an incident's timeline."""

    at: Time
    kind: str
    text: str


class Incident(TypedDict):
    """What is or was wrong, for how long, and who knows. `events` come with a single incident.

    `last_words` are of the command alone: who may read incidents may not read logs.
    """

    id: int
    key: str
    kind: Annotated[str, one_of(models.Incident.KINDS)]
    customer_id: str | None
    host: str | None
    plan: str | None
    severity: Annotated[str, one_of(LEVELS)]
    status: Annotated[str, Schema(enum=["open", "resolved"])]
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
    events: NotRequired[list[Event]]
    last_words: NotRequired[list[LastWords]]


class Finding(TypedDict):
    """A code for programs and a sentence for people."""

    code: str
    message: str


class Compared(TypedDict):
    """One thing that was compared."""

    name: str
    ok: bool
    message: str


class Validation(TypedDict):
    """Whether an instance is what it should be, and answers."""

    valid: bool
    errors: list[Finding]
    warnings: list[Finding]
    checks: list[Compared]


class TrialStep(TypedDict):
    """One step of a test deployment."""

    name: str
    ok: bool
    seconds: float
    error: str | None


class TrialResult(TypedDict):
    """How a test deployment went."""

    success: bool
    plan: str
    steps: list[TrialStep]
    error: str | None
