"""What a fleet file may say of a channel. Pure."""

from __future__ import annotations

import datetime as dt
import re
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from instances.fleet.entry import NAME, Entry, Section
from instances.lib import durations, validators

LONGEST_WAIT = 30 * 86400


def _time_of_day(value: object) -> object:
    """`22:00`, or `6:30`; other readers of YAML make 22 times 60 of it."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 24 * 60:
        return dt.time(value // 60, value % 60)
    if not isinstance(value, str) or not re.fullmatch(r"([01]?\d|2[0-3]):[0-5]\d", value):
        raise ValueError("must be a time of day such as 22:00")
    return dt.time.fromisoformat(value.zfill(5))


def time_zone(value: str) -> str:
    """The name of a time zone. Raises ValueError."""
    try:
        return ZoneInfo(value).key
    except (ValueError, KeyError, OSError):  # a name with a way up, an unknown one, a folder of zones
        raise ValueError("must be a time zone such as Europe/Berlin") from None


def _length(value: object) -> object:
    """`15m` in seconds; numbers as they are."""
    length = durations.length(value)
    if length is None and isinstance(value, str | bool):
        raise ValueError("must be a length of time such as 15m, or seconds")
    return value if length is None else length.total_seconds()


class QuietHours(Section):
    begin: Annotated[dt.time, BeforeValidator(_time_of_day)] = Field(alias="from")
    end: Annotated[dt.time, BeforeValidator(_time_of_day)] = Field(alias="to")
    timezone: Annotated[str, AfterValidator(time_zone)] = "UTC"

    @model_validator(mode="after")
    def _last(self) -> QuietHours:
        if self.begin == self.end:
            raise ValueError("from and to must differ")
        return self

    def columns(self) -> dict[str, Any]:
        return {"quiet_from": self.begin, "quiet_to": self.end, "timezone": self.timezone}


def _something(events: list[str]) -> list[str]:
    if not events:
        raise ValueError("say incidents, operations or both")
    return events


class ChannelEntry(Entry):
    name: str = Field(pattern=NAME)
    url: str = Field(pattern=r"^[a-z][a-z0-9+.-]*://.+$", repr=False)
    min_level: Literal["info", "warning", "critical"] = "info"
    hosts: list[Annotated[str, Field(pattern=NAME)]] = []
    plans: list[Annotated[str, Field(pattern=NAME)]] = []
    customers: list[Annotated[str, Field(pattern=f"^{validators.CUSTOMER_ID.pattern}$")]] = []
    quiet_hours: QuietHours | None = None
    escalate_after: Annotated[float, BeforeValidator(_length), Field(gt=0, le=LONGEST_WAIT)] | None = None
    events: Annotated[list[Literal["incidents", "operations"]], AfterValidator(_something)] = ["incidents"]
    enabled: bool = True

    def columns(self) -> dict[str, Any]:
        values = super().columns()
        if "events" in values:
            events = values.pop("events")
            values |= {event: event in events for event in ("incidents", "operations")}
        if "quiet_hours" in values:
            del values["quiet_hours"]
            none = {"quiet_from": None, "quiet_to": None}
            values |= self.quiet_hours.columns() if self.quiet_hours else none
        return values | ({"disabled_reason": ""} if values.get("enabled") else {})
