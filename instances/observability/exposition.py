"""All metrics in the text Prometheus reads; collected at most once in a few seconds."""

from __future__ import annotations

import platform
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

from django.conf import settings
from django.db import Error as DatabaseFailure
from django.db import connections
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

from instances.errors import OutOfReachError
from instances.observability import families
from instances.observability.bounded import Questions
from instances.observability.readings import read
from tasks.broker.queues import queue_lengths

FRESH_SECONDS = 5.0
SECONDS = 8.0  # under the 10 s that Prometheus waits by default


class Metrics(Collector):
    """Numbers of the whole installation: every web process reads the same ones from where they are kept.

    Where the database or the broker does not answer, its metrics are missing and
    `dockmgr_reachable` says so; a missing number is never shown as 0.
    """

    def __init__(self, now: Callable[[], datetime], fresh_for: float = FRESH_SECONDS) -> None:
        self._now, self._fresh_for = now, fresh_for
        self._lock = threading.Lock()
        self._collected: list[Metric] = []
        self._collected_at = float("-inf")
        self._questions: Questions[list[Metric] | None] = Questions(
            {"database": self._database, "broker": ask_broker}
        )

    def collect(self) -> Iterable[Metric]:
        with self._lock:
            if time.monotonic() - self._collected_at >= self._fresh_for:
                self._collected = list(self._ask())
                self._collected_at = time.monotonic()
            return self._collected

    def _ask(self) -> Iterator[Metric]:
        answers = self._questions.ask(SECONDS)
        found = {part: answers.get(part) for part in ("database", "broker")}
        yield families.build(settings.VERSION, platform.python_version())
        yield families.reachability({part: metrics is not None for part, metrics in found.items()})
        for metrics in found.values():
            yield from metrics or ()

    def _database(self) -> list[Metric] | None:
        try:
            return list(families.fleet(read(), self._now()))
        except DatabaseFailure:
            return None
        finally:
            connections.close_all()


def ask_broker() -> list[Metric] | None:
    try:
        return [families.queues(queue_lengths())]
    except OutOfReachError:
        return None


def render(metrics: Collector, accept: str) -> tuple[bytes, str]:
    """The metrics and their content type, in OpenMetrics where the caller accepts it."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(metrics)
    if "application/openmetrics-text" in accept:
        text: bytes = openmetrics.generate_latest(registry)  # type: ignore[no-untyped-call]
        return text, openmetrics.CONTENT_TYPE_LATEST
    return generate_latest(registry), CONTENT_TYPE_PLAIN_0_0_4
