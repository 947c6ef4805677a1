"""Bars and marks in a square of 100 by 100, which the page stretches to its place. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

SIZE = 100.0
LEAST_HEIGHT = 2.0  # so that a small value is seen
GAP = 0.15  # of a bar's place


@dataclass(frozen=True)
class Bar:
    """A rectangle; `kind` chooses its colour, `title` says what it stands for."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    title: str


@dataclass(frozen=True)
class Value:
    """A number to draw; None leaves the place empty."""

    amount: float | None
    kind: str
    title: str


@dataclass(frozen=True)
class Mark:
    """Something that happened at a moment: a line across the chart."""

    x: float
    kind: str
    title: str


def bars(values: Sequence[Value]) -> list[Bar]:
    """Upright bars side by side; the highest fills the square."""
    top = max((value.amount or 0 for value in values), default=0) or 1
    place = SIZE / max(1, len(values))
    return [
        Bar(
            x=round(number * place + place * GAP / 2, 3),
            y=round(SIZE - height, 2),
            width=round(place * (1 - GAP), 3),
            height=round(height, 2),
            kind=value.kind,
            title=value.title,
        )
        for number, value in enumerate(values)
        if value.amount is not None
        for height in [max(LEAST_HEIGHT, SIZE * value.amount / top) if value.amount else 0.0]
    ]


def stacked(values: Iterable[Value]) -> list[Bar]:
    """Shares of a whole, lying one after the other."""
    found = [value for value in values if value.amount]
    total, x, parts = sum(value.amount or 0 for value in found), 0.0, []
    for value in found:
        width = SIZE * (value.amount or 0) / total
        parts.append(Bar(round(x, 3), 0.0, round(width, 3), SIZE, value.kind, value.title))
        x += width
    return parts


def place_of(moment: datetime, since: datetime, until: datetime) -> float:
    """Where a moment lies between two others, from 0 to 100."""
    share = (moment - since) / (until - since)
    return round(SIZE * min(1.0, max(0.0, share)), 3)


def bucket_of(moment: datetime, since: datetime, step: timedelta) -> int:
    """The number of the equal part of a period that a moment falls into."""
    return int((moment - since) / step)
