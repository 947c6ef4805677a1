"""The model obeys what can be worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.scale_model import Costs, Healing, Machines, Targets, Way, hosts_return, sweep

COSTS = Costs(publishing=0.00001, worker=0.001, broker=0.0001, database=0.0002, message_bytes=1000)
WAY = Way("bulk", COSTS, at_once=1000, hanging_holds=0.5)
ONE_BY_ONE = Way("stock", COSTS, at_once=50, hanging_holds=5)
APART = Machines(processes=4, cores=4, database_cores=4)


def about(seconds: float) -> object:
    return pytest.approx(seconds, rel=0.1)


@pytest.mark.parametrize(
    ("machines", "costs", "seconds", "limit"),
    [
        # 10,000 checks: 10 s of the workers' CPU, by one process and by four; more need more cores
        (Machines(1, 1, database_cores=4), {}, 10.1, "worker processes"),
        (Machines(4, 4, database_cores=4), {}, 3.0, "worker processes"),
        (Machines(8, 4, database_cores=4), {}, 3.0, "worker processes"),
        # on the same two cores all of it is paid by them: 13 s by two
        (Machines(4, 2, shares_cores=True), {}, 6.6, "worker processes"),
        # a database of one core that needs 1 ms a check, a broker that needs 2
        (Machines(16, 16, database_cores=1), {"database": 0.001}, 10.0, "database"),
        (Machines(16, 16, database_cores=1, databases=2), {"database": 0.001}, 5.0, "database"),
        (Machines(32, 32, database_cores=4), {"broker": 0.002}, 20.0, "broker"),
        # publishing is one process's work, and waits for the broker
        (Machines(32, 32, database_cores=4, brokers=4), {"broker": 0.002}, 10.2, "broker"),
        (Machines(32, 32, database_cores=32), {"publishing": 0.001}, 10.7, "publisher"),
    ],
)
def test_the_busiest_decides(machines: Machines, costs: dict[str, float], seconds: float, limit: str) -> None:
    swept = sweep(Targets(10_000), replace(WAY, costs=replace(COSTS, **costs)), machines)
    assert swept.seconds == about(seconds)
    assert swept.busiest == limit


def test_what_hangs_costs_its_time_once_in_bulk_and_a_thread_each_in_turn() -> None:
    targets = Targets(10_000, hanging=0.02)
    # in bulk the last ones that hang end five seconds after the rest; they take little room from others
    assert sweep(targets, WAY, APART).seconds == about(2.8 + 5)
    # one by one 200 that hang for five seconds take five of the 200 threads' seconds at least
    assert sweep(targets, ONE_BY_ONE, APART).seconds > 2.8 + 5


def test_what_waits_is_in_the_broker() -> None:
    slow = replace(WAY, costs=replace(COSTS, publishing=0.00001), at_once=10)
    swept = sweep(Targets(2_000, answers_after=0.05), slow, Machines(1, 2, database_cores=2))
    assert swept.broker_bytes > 1_800 * COSTS.message_bytes


@pytest.mark.parametrize(
    ("hosts", "slots", "seconds"),
    [
        (1, 100, 125 * 6),  # 500 broken ones, four at once, six seconds each
        (3, 100, 125 * 6),  # hosts do not wait for each other while there are slots
        (3, 6, 1500 / 6 * 6),  # then they do
    ],
)
def test_hosts_that_return_are_healed_at_the_pace_of_each_or_of_the_workers(
    hosts: int, slots: int, seconds: float
) -> None:
    assert hosts_return(hosts, 500, Healing(6, 4, 0.01), slots, 4) == about(seconds)
