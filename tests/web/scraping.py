"""The metrics as Prometheus would have them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from instances.checks.record import record
from instances.observability import families, readings
from instances.observability.exposition import render
from tests.factories import World


class These(Collector):
    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = list(metrics)

    def collect(self) -> Iterator[Metric]:
        return iter(self._metrics)


class Scrape(dict[str, float]):
    """Values by series."""

    def value(self, name: str, **labels: str) -> float:
        return self[series(name, labels)]

    def names(self) -> set[str]:
        return {key.partition("{")[0] for key in self}


def series(name: str, labels: dict[str, str]) -> str:
    return name + "".join(f"{{{key}={value}}}" for key, value in sorted(labels.items()))


def scraped(metrics: Collector) -> Scrape:
    """What Prometheus would have."""
    text, _ = render(metrics, "")
    samples = (s for family in text_string_to_metric_families(text.decode()) for s in family.samples)
    return Scrape({series(sample.name, sample.labels): sample.value for sample in samples})


def of_database(world: World) -> Scrape:
    """The same without threads, whose connections see no uncommitted test."""
    return scraped(These(families.fleet(readings.read(), world.now)))


def look(world: World, *checks: Any) -> None:
    record(checks, world.now)
