"""Times as people write them: `30m`, `2h`, `1d`, or an RFC 3339 time with its zone. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from instances.errors import RequestError

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
MOST_DIGITS = 5


def length(text: object) -> timedelta | None:
    """`30s`, `10m`, `2h` or `1d` as a length of time; None for anything else."""
    if not isinstance(text, str):
        return None
    number, unit = text[:-1], UNITS.get(text[-1:])
    if not unit or not (number.isascii() and number.isdigit() and len(number) <= MOST_DIGITS):
        return None
    return timedelta(seconds=int(number) * unit)


def moment(text: object) -> datetime | None:
    """An RFC 3339 time with its zone, in UTC; None for anything else."""
    if not isinstance(text, str):
        return None
    try:
        parsed = datetime.fromisoformat(text.upper())  # RFC 3339 allows `t` and `z`
        return parsed.astimezone(UTC) if parsed.tzinfo else None
    except (ValueError, OverflowError):
        return None


def past(since: object, now: datetime) -> datetime:
    """A length of time ago, or a time. Raises RequestError."""
    ago = length(since)
    parsed = moment(since) if ago is None else now - ago
    if parsed is None:
        raise RequestError("The time must be like 30s, 10m, 2h, 1d or an RFC 3339 time with its zone.")
    return parsed


def span(seconds: float) -> str:
    """A length of time for people, in its two largest units: `45 s`, `2 min 5 s`, `3 d 4 h`."""
    left, parts = round(seconds), []
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2]) or "0 s"
