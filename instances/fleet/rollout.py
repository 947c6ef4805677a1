"""Updating many instances: one canary first, a few at a time on each host, stopped when too many fail."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace

from instances.db.retry import retry_on_disconnect
from instances.db.sessions import release_session
from instances.errors import BusyError, LeaseLost, RequestError
from instances.fleet.nothing_newer import Answers
from instances.fleet.progress import Progress, silent
from instances.health.state import Status
from instances.models import Instance, Operation
from instances.operations import service
from instances.operations.begin import refuse_other
from instances.operations.requester import Requester
from instances.operations.service import begin_update, run_or_wait
from instances.outside import Outside

AT_ONCE_PER_HOST = 2
AT_ONCE = 8
FAILURES_ALLOWED = 0.1


@dataclass(frozen=True)
class Limits:
    """`canaries` are updated one by one, and any failure among them ends it; later a share may fail.

    One that runs the image already is no canary: the next one is.
    """

    canaries: int = 1
    failures_allowed: float = FAILURES_ALLOWED


@dataclass
class Result:
    """What became of a fleet update. `left` were not begun; running the same again goes on with them."""

    operations: list[Operation] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)
    stopped: str = ""

    @property
    def failures(self) -> int:
        return sum(1 for operation in self.operations if operation.status != "succeeded")

    @property
    def tried(self) -> int:
        """How many updates had something to do, and so tell something about the image."""
        return sum(1 for operation in self.operations if not operation.facts.get("unchanged"))


def candidates() -> list[Instance]:
    """Whom a fleet update concerns, healthy ones first: a canary should be able to sing."""
    instances = list(Instance.objects.active().without_secrets().select_related("plan", "host", "health"))
    return sorted(instances, key=lambda i: (i.health.status != Status.HEALTHY, i.customer_id))


def too_many(failures: int, tried: int, done: int, total: int, limits: Limits) -> str:
    """Why to stop now, or nothing. `tried` are those of `done` that had something to do. Pure."""
    if failures and tried <= limits.canaries:
        return "The canary failed."
    if failures > limits.failures_allowed * total:
        return f"{failures} of {done} updates failed, more than {limits.failures_allowed:.0%} of {total}."
    return ""


def update_all(
    image: str | None,
    requester: Requester,
    limits: Limits | None = None,
    outside: Outside | None = None,
    progress: Progress = silent,
) -> Result:
    """Update every active instance. With a request id, asking again joins what was begun before.

    Raises RequestError when that id was used for an update to another image.
    """
    rollout = _Rollout(
        image, requester, limits or Limits(), outside or service.OUTSIDE, progress, candidates()
    )
    return rollout.run()


class _Rollout:
    def __init__(
        self,
        image: str | None,
        requester: Requester,
        limits: Limits,
        outside: Outside,
        progress: Progress,
        instances: Sequence[Instance],
    ) -> None:
        self._image, self._requester, self._limits = image, requester, limits
        self._outside, self._progress = outside, progress
        self._waiting = list(instances)
        self._total = len(instances)
        self._running: dict[Future[Operation | None], Instance] = {}
        self._result = Result()

    def run(self) -> Result:
        self._refuse_other_request()
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="update") as pool:
            while self._running or (self._waiting and not self._result.stopped):
                for instance in self._startable():
                    told = self._answers().to(instance, self._image)
                    self._running[pool.submit(self._update, instance, told)] = instance
                self._collect()
        self._result.left = [instance.customer_id for instance in self._waiting]
        return self._result

    def _startable(self) -> Iterator[Instance]:
        """Instances that may begin now; while the canaries sing, one at a time."""
        while self._waiting and not self._result.stopped and len(self._running) < self._at_once():
            instance = next((i for i in self._waiting if self._has_room(i)), None)
            if instance is None:
                return
            self._waiting.remove(instance)
            yield instance

    def _at_once(self) -> int:
        return AT_ONCE if self._result.tried >= self._limits.canaries else 1

    def _answers(self) -> Answers:
        """What registries need not be asked again while nothing newer was found."""
        unchanged = [] if self._result.tried else self._result.operations
        return Answers(unchanged, self._outside.clock.now())

    def _has_room(self, instance: Instance) -> bool:
        busy = sum(1 for other in self._running.values() if other.host_id == instance.host_id)
        return busy < AT_ONCE_PER_HOST

    def _refuse_other_request(self) -> None:
        """Raise RequestError for an id that was used for an update to another image."""
        of = {self._share_of(self._requester.request_id or "", i): i.customer_id for i in self._waiting}
        if self._requester.request_id:
            for earlier in Operation.objects.filter(request_id__in=of):
                refuse_other(earlier, "update", of[str(earlier.request_id)], {"image": self._image})

    @staticmethod
    def _share_of(request_id: str, instance: Instance) -> str:
        """The same for the same request and customer, however long both are."""
        return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{request_id}:{instance.customer_id}"))

    def _update(self, instance: Instance, told: uuid.UUID | None) -> Operation | None:
        request_id = self._requester.request_id and self._share_of(self._requester.request_id, instance)
        try:
            requester = replace(self._requester, request_id=request_id)
            # What meets the locks of others must not end the rollout.
            operation = retry_on_disconnect(
                lambda: begin_update(
                    instance.customer_id, requester, image=self._image, told=told, outside=self._outside
                ),
                self._outside.clock,
            )
            return run_or_wait(operation.pk, self._outside)
        finally:
            release_session()

    def _collect(self) -> None:
        done, _ = wait(self._running, return_when=FIRST_COMPLETED)
        for future in [begun for begun in self._running if begun in done]:  # in the order they were begun
            instance = self._running.pop(future)
            try:
                operation = future.result()
            except (BusyError, LeaseLost, RequestError) as error:
                self._result.skipped[instance.customer_id] = str(error)
                continue
            if operation is not None:
                self._result.operations.append(operation)
        self._judge()

    def _judge(self) -> None:
        done = len(self._result.operations)
        self._progress(done + len(self._result.skipped), self._total, "updated")
        result = self._result
        result.stopped = too_many(result.failures, result.tried, done, self._total, self._limits)
