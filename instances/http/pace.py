"""How many instances of one host are asked at a time, so that a busy machine is not asked to death: pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")

YOUNG = 0.5  # seconds after which a look counts as one that hangs, and takes no room from others
FIRST, LEAST, MOST = 32.0, 4.0, 512.0
STANDS = 1.0  # seconds the first of a line waits, after which those in it take no room from other hosts
LATE_SHARE = 0.25  # of the looks at a host: more of them late is no hanging instance, but a busy machine


@dataclass
class Pace:
    """Grows while a host answers soon, and is halved where many answers are late, as TCP does on a line.

    A few that hang, as some always may, change nothing.
    """

    room: float = FIRST
    young: int = 0
    soon: int = 0
    late: int = 0

    def has_room(self) -> bool:
        return self.young < self.room

    def began(self) -> None:
        self.young += 1

    def ended(self, *, is_late: bool) -> None:
        """A look that began is over, or is not young any more."""
        self.young -= 1
        self.late += is_late
        self.soon += not is_late
        if self.late + self.soon >= self.room:
            is_busy = self.late > LATE_SHARE * (self.late + self.soon)
            self.room = max(self.room / 2, LEAST) if is_busy else min(self.room * 1.5, MOST)
            self.late = self.soon = 0


@dataclass
class Line(Generic[T]):
    """Who waits to be asked at one host, in the order they came, and the pace of that host."""

    pace: Pace = field(default_factory=Pace)
    waiting: deque[tuple[float, T]] = field(default_factory=deque)

    def join(self, who: T, now: float) -> None:
        self.waiting.append((now, who))

    def next(self) -> T | None:
        """Whose turn it is; None while nobody may be asked, or nobody waits."""
        return self.waiting.popleft()[1] if self.waiting and self.pace.has_room() else None

    def is_over(self) -> bool:
        """Whether nobody waits or is asked, so that it may be forgotten."""
        return not self.waiting and not self.pace.young

    def standing(self, now: float) -> int:
        """How many wait at a host that answers late, and have the first of them wait for long."""
        try:
            since = self.waiting[0][0]
        except IndexError:
            return 0
        return len(self.waiting) if self.pace.room < FIRST and now - since > STANDS else 0
