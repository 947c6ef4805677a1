"""The forms of what callers send: the same rules as everywhere, told to readers of the OpenAPI."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from ninja.params.functions import Header
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)
from pydantic.config import JsonDict

from instances.db.clock import SYSTEM
from instances.errors import RequestError
from instances.lib import durations, validators
from instances.operations.procedures.provision import former_data

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
MOST_PER_PAGE = 200


def _checked(check: Callable[[object], Any]) -> AfterValidator:
    """A rule of the domain as a validator; its sentence becomes the error's."""

    def validate(value: object) -> Any:
        try:
            return check(value)
        except RequestError as error:
            raise ValueError(str(error)) from None

    return AfterValidator(validate)


def _described(pattern: str, longest: int, example: str) -> WithJsonSchema:
    """What the OpenAPI says of such a text."""
    return WithJsonSchema(
        {"type": "string", "pattern": f"^{pattern}$", "maxLength": longest, "examples": [example]}
    )


def _text(value: object) -> str:
    text = str(value)
    if any(character < " " or "\ud800" <= character <= "\udfff" for character in text):
        raise RequestError("It may hold no control characters.")
    return text


def _past(value: object) -> str:
    durations.past(value, SYSTEM.now())
    return str(value)


def since(text: str, now: datetime) -> datetime:
    """The moment a checked `since` stands for, within what databases know."""
    return max(durations.past(text, now), EARLIEST)


Status = Literal["unknown", "starting", "healthy", "suspect", "unhealthy", "restarting", "failed", "paused"]
By = Literal["hour", "day"]
OperationStatus = Literal["queued", "running", "succeeded", "failed", "rolled_back"]
CustomerId = Annotated[
    str,
    _checked(validators.customer_id),
    _described(validators.CUSTOMER_ID.pattern, 63, "user123"),
]
Subdomain = Annotated[
    str,
    _checked(validators.subdomain),
    _described(validators.SUBDOMAIN.pattern, validators.MAX_SUBDOMAIN, "user123.example.com"),
]
Image = Annotated[
    str,
    _checked(validators.image),
    _described(
        f"({validators.IMAGE_REF.pattern})",
        validators.MAX_IMAGE_REF,
        "registry.example.com/agent:2026.2.19",
    ),
]
Environment = Annotated[
    dict[str, str],
    _checked(validators.environment),
    WithJsonSchema(
        {
            "type": "object",
            "propertyNames": {"pattern": f"^{validators.ENV_NAME.pattern}$"},
            "additionalProperties": {
                "type": "string",
                "maxLength": validators.MAX_ENV_VALUE,
                "pattern": r"^[^\u0000]*$",
                "writeOnly": True,
            },
            "examples": [{"API_KEY": "a-secret"}],
        }
    ),
]
Since = Annotated[
    str,
    _checked(_past),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": "^[0-9]{1,5}[smhd]$"},
                {"type": "string", "format": "date-time"},
            ],
            "description": "`30s`, `10m`, `2h`, `1d` ago, or an RFC 3339 time.",
            "examples": ["10m"],
        }
    ),
]
Name = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{1,64}$")]
Reason = Annotated[
    str,
    StringConstraints(max_length=255),
    _checked(_text),
    WithJsonSchema({"type": "string", "maxLength": 255, "pattern": r"^[^\u0000-\u001f]*$"}),
    Field(description="Why, for the record.", examples=["customer asked for it"]),
]
Visible = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,100}$")]
IdempotencyKey = Annotated[
    Visible | None,
    Header(None, alias="Idempotency-Key", description="asking twice with one key does it once"),
]
Search = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9.-]{1,63}$"),
    Field(description="part of a customer id or subdomain"),
]
_LogTime = Annotated[
    str,
    StringConstraints(
        pattern=r"^20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
        r"T([01][0-9]|2[0-3])(:[0-5][0-9]){2}\.[0-9]{9}Z$"
    ),
    _checked(_past),
    Field(json_schema_extra={"format": "date-time"}),
]
LastEventId = Annotated[
    _LogTime | None, Header(None, alias="Last-Event-ID", description="goes on behind that line")
]
EventId = Annotated[
    Annotated[int, Field(ge=0, le=2**63 - 1)] | None,
    Header(None, alias="Last-Event-ID", description="goes on behind that event"),
]
Limit = Annotated[int, Field(ge=1, le=MOST_PER_PAGE)]
TimeCursor = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,16}\.[0-9]{1,18}$")]
OperationCursor = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,16}\.[0-9a-f]{32}$")]


class Form(BaseModel):
    """A body: what it does not name is refused, and words that only resemble a value, such as "yes"."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Change(Form):
    """Why, for any change."""

    reason: Reason = ""


class Restart(Change):
    """`with_empty_data` makes what is missing of the instance's storage, empty."""

    with_empty_data: bool = False


class Update(Change):
    """What to update to: the newest of the instance's image unless one is named."""

    image: Image | None = None


BOTH: JsonDict = {"keep_data": {"const": True}, "fresh": {"const": True}}


class Provision(Change):
    """A new instance. `env` is stored encrypted and never shown again.

    Where the customer's former data is still there, `keep_data` goes on with it, `fresh` deletes it.
    """

    model_config = ConfigDict(json_schema_extra={"not": {"properties": BOTH, "required": [*BOTH]}})

    customer_id: CustomerId
    subdomain: Subdomain
    plan: Name
    env: Environment = Field(default_factory=dict)
    host: Name | None = None
    image: Image | None = None
    keep_data: bool = False
    fresh: bool = False

    @model_validator(mode="after")
    def _one_of_both(self) -> Provision:
        try:
            former_data(self.keep_data, self.fresh)
        except RequestError as error:
            raise ValueError(str(error)) from None
        return self


class TrialOrder(Change):
    """Which plan to try with a throwaway instance."""

    plan: Name
    image: Image | None = None
    host: Name | None = None
