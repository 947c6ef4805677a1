"""What the API answers beside the documents: pages of them, problems, what was asked for."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from instances.documents.past_shapes import Past, PastSum
from instances.documents.shapes import Incident, Instance, Operation, Time, TrialResult


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


class Trial(BaseModel):
    """A test deployment: `running` until the workers are done with it."""

    id: str
    plan: str
    status: Literal["running", "succeeded", "failed"]
    result: TrialResult | None
    error: str | None
    requested_by: str
    created_at: Time


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


class PastSums(BaseModel):
    """Hours or days, the newest first; those of which nothing is known are left out."""

    customer_id: str
    items: list[PastSum]


class OperationPage(BaseModel):
    """Operations, the newest first."""

    items: list[Operation]
    next: str | None


class IncidentPage(BaseModel):
    """Incidents, the newest first."""

    items: list[Incident]
    next: str | None
