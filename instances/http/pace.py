"""How many instances of one host are asked at a time, so that a busy machine is not asked to death: pure."""

from __future__ import annotations

from dataclasses import dataclass

YOUNG = 0.5  # seconds after which a look counts as one that hangs, and takes no room from others
FIRST, LEAST, MOST = 32.0, 4.0, 512.0
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
