"""Prometheus metrics out of what was read: names, units and labels. docs/observability.md explains each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import product

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from instances import counters
from instances.health.response import Outcome
from instances.health.state import Status
from instances.models import Incident, Operation
from instances.models.channel import LEVELS
from instances.models.instance import LEAVING
from instances.observability.readings import Labels, Numbers, Readings

KINDS = [kind for kind, _ in Operation.KINDS]
ENDS = ("succeeded", "failed", "rolled_back")
TRIGGERS = ("automatic", "requested")
SEVERITIES = [level for level, _ in LEVELS]
INCIDENTS = [kind for kind, _ in Incident.KINDS]
DELIVERIES = ("sent", "given_up")


def reachability(reachable: Mapping[str, bool]) -> Metric:
    """Says which of the other metrics are missing because what they come from does not answer."""
    help_text = "1 if the part answered when this was collected, else 0."
    numbers: dict[Labels, int] = {(part,): int(answered) for part, answered in reachable.items()}
    return _gauge("dockmgr_reachable", help_text, numbers, part=())


def build(version: str, python: str) -> Metric:
    """Which dockmgr answers, and what it runs on."""
    return _gauge("dockmgr_build_info", "The version of dockmgr, and of the Python it runs on.",
                  {(version, python): 1}, version=(), python=())  # fmt: skip


def queues(lengths: Mapping[str, int]) -> Metric:
    numbers: dict[Labels, int] = {(queue,): length for queue, length in lengths.items()}
    return _gauge("dockmgr_queue_messages", "Messages no worker has taken yet.", numbers, queue=())


def fleet(readings: Readings, now: datetime) -> Iterator[Metric]:
    """All metrics that come from the database."""
    yield _instances(readings)
    yield from _checks(readings.counters.get(counters.CHECKS.name, {}))
    yield from _operations(readings)
    yield _gauge("dockmgr_incidents_open", "Incidents that are open.", readings.incidents,
                 severity=SEVERITIES, kind=INCIDENTS)  # fmt: skip
    yield from _notifications(readings)
    yield from _sweeps(readings, now)
    yield _pulses(readings.pulses)


def _instances(readings: Readings) -> Metric:
    statuses = [*(status.value for status in Status), LEAVING]
    numbers: dict[Labels, int] = {
        (status, plan, host): by_status.get(status, 0)
        for (plan, host), by_status in sorted(readings.instances.items())
        for status in statuses
    }
    return _gauge("dockmgr_instances", "Instances.", numbers, status=(), plan=(), host=())


def _checks(numbers: Numbers) -> Iterator[Metric]:
    durations: dict[str, dict[str, int]] = defaultdict(dict)
    for (outcome, bucket), number in numbers.items():
        durations[outcome][bucket] = number
    total: dict[Labels, int] = {(outcome,): counters.CHECKS.total(own) for outcome, own in durations.items()}
    outcomes = [outcome.value for outcome in Outcome]
    yield _counter("dockmgr_checks", "Checks that were judged and recorded.", total, outcome=outcomes)
    family = HistogramMetricFamily(
        "dockmgr_check_duration_seconds", "What looking at an instance took.", labels=["outcome"]
    )
    for outcome in outcomes:
        _add_histogram(family, outcome, counters.CHECKS, durations[outcome])
    yield family


def _operations(readings: Readings) -> Iterator[Metric]:
    ended: dict[Labels, int] = defaultdict(int)
    restarts: dict[Labels, int] = defaultdict(int)
    durations: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for (kind, end, trigger, bucket), number in readings.counters.get(counters.OPERATIONS.name, {}).items():
        durations[kind][bucket] += number
        counted = counters.OPERATIONS.total({bucket: number})
        ended[kind, end] += counted
        if kind == "restart":
            restarts[trigger, end] += counted
    yield _counter("dockmgr_operations", "Operations that ended.", ended, kind=KINDS, outcome=ENDS)
    yield _counter("dockmgr_restarts", "Restarts that ended.", restarts, trigger=TRIGGERS, outcome=ENDS[:2])
    yield _gauge("dockmgr_operations_unfinished", "Operations queued or under way.", readings.unfinished,
                 kind=KINDS, status=("queued", "running"))  # fmt: skip
    family = HistogramMetricFamily(
        "dockmgr_operation_duration_seconds", "From the start of an operation to its end.", labels=["kind"]
    )
    for kind in KINDS:
        _add_histogram(family, kind, counters.OPERATIONS, durations[kind])
    yield family


def _notifications(readings: Readings) -> Iterator[Metric]:
    numbers = readings.counters.get(counters.NOTIFICATIONS, {})
    yield _counter("dockmgr_notifications", "Messages to channels that were sent or given up.", numbers,
                   outcome=DELIVERIES, level=SEVERITIES)  # fmt: skip
    yield GaugeMetricFamily(
        "dockmgr_notifications_waiting", "Messages that wait to be sent.", value=readings.waiting
    )


def _sweeps(readings: Readings, now: datetime) -> Iterator[Metric]:
    if readings.swept_at is None or readings.swept_in is None:
        return
    finished = readings.swept_at.timestamp()
    for name, help_text, value in (
        ("last_duration_seconds", "What the last sweep took.", readings.swept_in),
        ("last_finish_timestamp_seconds", "When the last sweep finished.", finished),
        ("age_seconds", "How long ago the last sweep finished.", max(0.0, now.timestamp() - finished)),
    ):
        yield GaugeMetricFamily(f"dockmgr_sweep_{name}", help_text, value=value)


def _pulses(pulses: Mapping[str, datetime]) -> Metric:
    help_text = "When a part of dockmgr last showed that it lives."
    family = GaugeMetricFamily("dockmgr_pulse_timestamp_seconds", help_text, labels=["part"])
    for part, moment in sorted(pulses.items()):
        family.add_metric([part], moment.timestamp())
    return family


def _gauge(name: str, help_text: str, numbers: Numbers, **labels: Sequence[str]) -> Metric:
    return _filled(GaugeMetricFamily(name, help_text, labels=list(labels)), numbers, labels)


def _counter(name: str, help_text: str, numbers: Numbers, **labels: Sequence[str]) -> Metric:
    return _filled(CounterMetricFamily(name, help_text, labels=list(labels)), numbers, labels)


def _filled(
    family: GaugeMetricFamily | CounterMetricFamily, numbers: Numbers, labels: Mapping[str, Sequence[str]]
) -> Metric:
    """Every combination of the values that are known beforehand is there from the start, as 0."""
    for values, number in {**dict.fromkeys(product(*labels.values()), 0), **numbers}.items():
        family.add_metric(values, number)
    return family


def _add_histogram(
    family: HistogramMetricFamily, label: str, measure: counters.Measure, numbers: Mapping[str, int]
) -> None:
    """Prometheus wants each bucket to count the smaller ones as well."""
    count, buckets = 0, []
    for bucket in measure.buckets:
        count += numbers.get(bucket, 0)
        bound = "+Inf" if bucket == counters.UNBOUNDED else str(float(bucket))
        buckets.append((bound, float(count)))
    family.add_metric([label], buckets=buckets, sum_value=numbers.get(counters.MILLISECONDS, 0) / 1000)
