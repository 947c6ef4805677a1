"""Is dockmgr able to do its work: database, broker, workers and sweeps, each in one sentence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import Error as DatabaseFailure
from django.db import connections

from instances.db.errors import database_sentence
from instances.errors import OutOfReachError
from instances.models import Channel, Instance, Pulse, Sweep
from instances.monitoring import self_rules
from instances.monitoring.self_check import nobody_is_told, oldest_waiting
from instances.observability.bounded import Questions
from tasks.broker.queues import queue_lengths
from tasks.schedule import is_scheduled, sweep_interval

SECONDS = 2.5
OK, FAILING, UNKNOWN = "ok", "failing", "unknown"


@dataclass(frozen=True)
class PartStatus:
    """How one part is; `age` in seconds is that of its last sign of life, where it has one."""

    state: str
    message: str
    age: float | None = None

    def document(self) -> dict[str, Any]:
        age = {} if self.age is None else {"age_seconds": round(self.age, 1)}
        return {"state": self.state, "message": self.message, **age}


Parts = Mapping[str, PartStatus]
SILENT: dict[str, Parts] = {
    "database": {
        "database": PartStatus(FAILING, f"It has not answered within {SECONDS:g} s."),
        "workers": PartStatus(UNKNOWN, "Their signs of life are in the database."),
        "sweep": PartStatus(UNKNOWN, "The sweeps are in the database."),
        "orders": PartStatus(UNKNOWN, "The orders are in the database."),
        "channels": PartStatus(UNKNOWN, "The channels are in the database."),
    },
    "broker": {"broker": PartStatus(FAILING, f"It has not answered within {SECONDS:g} s.")},
}


def document(parts: Parts) -> dict[str, Any]:
    """READINESS: ready when every part is."""
    return {
        "ready": all(part.state == OK for part in parts.values()),
        "parts": {name: part.document() for name, part in parts.items()},
    }


class Readiness:
    """Asks database and broker side by side and waits `SECONDS` for both, whatever they do."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._questions: Questions[Parts] = Questions({"database": self._database, "broker": ask_broker})

    def look(self) -> Parts:
        answers = self._questions.ask(SECONDS)
        return {
            name: part
            for question, silent in SILENT.items()
            for name, part in answers.get(question, silent).items()
        }

    def _database(self) -> Parts:
        try:
            return ask_database(self._now())
        finally:
            connections.close_all()


def ask_database(now: datetime) -> Parts:
    """Whether it answers, and what the signs of life in it say."""
    try:
        Pulse.objects.filter(name="").update(at=now)  # no row, but a database that takes no writes says so
        signs = {"workers": _workers(now), "sweep": _sweep(now), "orders": _orders(now)}
        return {"database": PartStatus(OK, "It answers."), **signs, "channels": _channels()}
    except DatabaseFailure as error:
        return {**SILENT["database"], "database": PartStatus(FAILING, database_sentence(error))}


def ask_broker() -> Parts:
    try:
        waiting = sum(queue_lengths(writing=True).values())
    except OutOfReachError as error:
        return {"broker": PartStatus(FAILING, str(error))}
    return {"broker": PartStatus(OK, f"It answers; {waiting} messages wait.")}


def _workers(now: datetime) -> PartStatus:
    pulses = dict(Pulse.objects.values_list("name", "at"))
    last = pulses.get(self_rules.Part.CLOCKWORK)
    if last is None:
        return PartStatus(FAILING, "No worker has shown itself yet; are workers and beat running?")
    age = _age(last, now)
    if now - last > self_rules.SILENCE:
        return PartStatus(FAILING, f"No worker did the clockwork in the last {age:.0f} s.", age)
    for part in self_rules.NEEDED:
        served = pulses.get(part)
        if served is None or now - served > self_rules.SILENCE:
            return PartStatus(
                FAILING, self_rules.SENTENCES[part], None if served is None else _age(served, now)
            )
    return PartStatus(OK, f"All needed queues are served; the clockwork was done {age:.0f} s ago.", age)


def _orders(now: datetime) -> PartStatus:
    given_at = oldest_waiting()
    if given_at is None:
        return PartStatus(OK, "No order waits.")
    age = _age(given_at, now)
    late = self_rules.order_is_late(given_at, now)
    return PartStatus(FAILING if late else OK, f"The oldest order has waited for {age:.0f} s.", age)


def _channels() -> PartStatus:
    if nobody_is_told():
        return PartStatus(FAILING, self_rules.SENTENCES[self_rules.Part.CHANNELS])
    enabled = Channel.objects.told_of_incidents().count()
    if not enabled:
        return PartStatus(OK, "No channel for incidents is in use: nobody is told of anything wrong.")
    number = f"{enabled} channels are" if enabled > 1 else "One channel is"
    return PartStatus(OK, f"{number} told of incidents.")


def _sweep(now: datetime) -> PartStatus:
    finished = Sweep.objects.filter(state="finished").order_by("-started_at")
    last = finished.values_list("finished_at", flat=True).first()
    age = None if last is None else _age(last, now)
    told = "No sweep has finished yet" if age is None else f"The last sweep finished {age:.0f} s ago"
    if not self_rules.overdue(last or _first_duty(), now, sweep_interval()):
        return PartStatus(OK, f"{told}.{_unscheduled()}", age)
    if not Instance.objects.active().exists():
        return PartStatus(OK, f"{told}; there is no instance to sweep.", age)
    return PartStatus(
        FAILING,
        f"{told}, which is more than two intervals; look at beat, the workers and the broker."
        f"{_unscheduled()}",
        age,
    )


def _unscheduled() -> str:
    return "" if is_scheduled() else f" {self_rules.SENTENCES[self_rules.Part.SCHEDULE]}"


def _first_duty() -> datetime | None:
    """When there first was something to sweep."""
    provisioned = Instance.objects.active().order_by("provisioned_at")
    return provisioned.values_list("provisioned_at", flat=True).first()


def _age(moment: datetime, now: datetime) -> float:
    return max(0.0, (now - moment).total_seconds())
