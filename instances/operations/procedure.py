"""What an operation is made of: a procedure of steps, and what each step works with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from instances.checks.observe import Check
from instances.db.locks import lock_in_order
from instances.errors import TransientError
from instances.lib.redact import Redactor
from instances.limits import PULL_SECONDS, STEP_SECONDS
from instances.models import Health, Instance, Operation
from instances.operations.fence import FencedEngine
from instances.operations.journal import Journal
from instances.outside import Outside

STOPS = 4  # in one step, at most: the instance's own, what stands in its place, and two left aside


class StepTookTooLong(TransientError):
    """A step went past its bound: it is undone, and not tried again."""


@dataclass
class Work:
    """What a step works with."""

    instance: Instance
    engine: FencedEngine
    journal: Journal
    outside: Outside
    last_check: Check | None = None
    step_until: datetime | None = None
    failure: str = ""  # what went wrong, once nothing is left but the way back
    until: str = ""  # the step after which whoever takes it up next carries the operation on

    def go_on(self) -> None:
        """To be called again and again by whatever takes its time.

        Raises LeaseLost when the operation is another process's now, StepTookTooLong past the bound.
        """
        self.journal.check()
        if self.step_until and self.outside.clock.now() > self.step_until:
            raise StepTookTooLong(f"{self.journal.step_under_way} took too long and was given up.")

    @property
    def operation(self) -> Operation:
        return self.journal.operation

    @property
    def redactor(self) -> Redactor:
        return self.instance.redactor

    def save(self, *columns: str) -> None:
        """Write these columns of the instance, as the operation's holder. Raises LeaseLost."""
        with self.journal.holding():
            self.instance.save(update_fields=columns)

    def forget_instance(self) -> None:
        """Delete the row of the instance, locked first as by whoever mutes it, with all that refers to it."""
        lock_in_order(Instance.objects.filter(pk=self.instance.pk))
        self.instance.delete()

    @contextmanager
    def closing(self) -> Iterator[None]:
        """As `holding` of the journal, with the health locked that the operation's end is written to.

        Raises LeaseLost.
        """
        with self.journal.holding():
            lock_in_order(Health.objects.filter(pk=self.instance.pk))
            yield


def usual_limit(_work: Work) -> float:
    """For a step of a few calls, each bounded by itself."""
    return STEP_SECONDS


def stop_limit(work: Work) -> float:
    """For a step that stops containers, each of which has the time its plan gives it."""
    return STEP_SECONDS + STOPS * work.instance.stop_timeout


def pull_limit(_work: Work) -> float:
    """For a step that may pull an image."""
    return PULL_SECONDS


@dataclass(frozen=True)
class Step:
    """One step; `do` returns a detail for people. `undo` must cope with `do` never having happened.

    Once a `final` step has begun there is no way back, as what it removes can't be made again: it
    and those after it are tried until done.
    A step `interrupts` when the customer can't be reached meanwhile, or is reached at what the row
    does not yet name: checks are not judged then. `limit` bounds one try of it, in seconds.
    """

    name: str
    do: Callable[[Work], str]
    undo: Callable[[Work], None] | None = None
    final: bool = False
    interrupts: bool = False
    limit: Callable[[Work], float] = usual_limit


def nothing(_work: Work) -> None:
    """For procedures with nothing to write down at their end."""


def failed_status(_work: Work) -> str:
    """What an operation that could not be finished is called, where nothing was rolled back."""
    return "failed"


@dataclass(frozen=True)
class Procedure:
    """A kind of operation: its steps, and what its end means for the instance.

    `succeeded` and `failed` run in the transaction that closes the operation. `explain` collects,
    before anything is undone, what will be gone afterwards.
    """

    kind: str
    steps: tuple[Step, ...]
    succeeded: Callable[[Work], None] = nothing
    failed: Callable[[Work], None] = nothing
    explain: Callable[[Work], None] = nothing
    undone_status: Callable[[Work], str] = failed_status
