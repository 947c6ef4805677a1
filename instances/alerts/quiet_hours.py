"""Hours of the day in which only what is critical is told, by the clocks of a place. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta, tzinfo


@dataclass(frozen=True)
class QuietHours:
    """From `begin` to `end` by the clocks of `zone`; they may cross midnight."""

    begin: time
    end: time
    zone: tzinfo

    def over_at(self, moment: datetime) -> datetime:
        """`moment` itself outside quiet hours, else their end."""
        clock = moment.astimezone(self.zone).time()
        if self.begin <= self.end:
            quiet = self.begin <= clock < self.end
        else:
            quiet = clock >= self.begin or clock < self.end
        return self._next_end(moment) if quiet else moment

    def _next_end(self, moment: datetime) -> datetime:
        """Where clocks are put back the end comes twice, so both of a day are looked at."""
        today = moment.astimezone(self.zone).date()
        days = (today, today + timedelta(days=1))
        ends = (
            datetime.combine(day, self.end.replace(fold=fold), self.zone) for day in days for fold in (0, 1)
        )
        return min(end for end in (end.astimezone(moment.tzinfo) for end in ends) if end > moment)
