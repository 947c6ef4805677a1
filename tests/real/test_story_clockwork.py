"""Workers and beat keep a fleet alive without anybody's command."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

import pytest

from tests.real.fleet import Fleet, a_fleet, all_healthy, end
from tests.real.live import wait_until

SWEPT = "SELECT count(*) FROM instances_sweep WHERE slot IS NOT NULL AND state = 'finished'"


@pytest.fixture
def fleet(tmp_path: Path, docker_url: str, broker_url: str, demo_image: str) -> Iterator[Fleet]:
    environ = {"DOCKMGR_SWEEP_INTERVAL": "2", "DOCKMGR_HISTORY_EVERY": "0"}
    with a_fleet(tmp_path, docker_url, broker_url, demo_image, environ=environ, start_grace=3) as fleet:
        yield fleet


def sweeps(fleet: Fleet) -> int:
    return int(fleet.sql(SWEPT)[0][0])


def restarts_begun(fleet: Fleet) -> Counter[str]:
    rows = fleet.sql("SELECT customer_id FROM instances_operation WHERE kind = 'restart'")
    return Counter(customer.removeprefix(f"{fleet.prefix}-") for (customer,) in rows)


@pytest.mark.thorough
def test_one_worker_and_beat_heal_what_breaks_and_give_up_on_the_rest(fleet: Fleet) -> None:
    fleet.provision_all("broken", "killed", "removed", "wedged")
    with fleet.worker(), fleet.beat():
        fleet.container("killed").kill()
        fleet.container("removed").remove(force=True)
        fleet.switch("wedged", "hang")
        fleet.inside("broken", "rm /srv/answer.sh")
        settled = {"broken": "failed", "killed": "healthy", "removed": "healthy", "wedged": "healthy"}
        wait_until(lambda: not fleet.unfinished() and fleet.health() == settled, 90)
        seen = sweeps(fleet)
        wait_until(lambda: sweeps(fleet) >= seen + 2)
    assert restarts_begun(fleet) == {"broken": 3, "killed": 1, "removed": 1, "wedged": 1}
    assert [row["status"] for row in fleet.restarts("broken")] == ["failed"] * 3
    assert (fleet.home / "state.json").exists()


@pytest.mark.thorough
def test_an_interval_edited_in_the_database_survives_a_restart_of_beat(fleet: Fleet) -> None:
    edit = (
        "from django_celery_beat.models import IntervalSchedule as I, PeriodicTask as P;"
        "task = P.objects.get(name='dockmgr sweep');"
        "task.interval = I.objects.get_or_create(every=1, period='seconds')[0]; task.save()"
    )
    with fleet.worker():
        with fleet.beat():
            wait_until(lambda: sweeps(fleet) >= 2)
        assert fleet.run("shell", "-c", edit).returncode == 0
        slots_before = sweeps(fleet)
        with fleet.beat():
            wait_until(lambda: sweeps(fleet) >= slots_before + 5)
    last = "SELECT slot FROM instances_sweep WHERE slot IS NOT NULL ORDER BY slot DESC LIMIT 4"
    seconds = [float(slot.partition(".")[0].rpartition(":")[2]) for (slot,) in fleet.sql(last)]
    # A busy machine may miss a slot; slots of two seconds would never lie one apart.
    assert 1 in {(later - sooner) % 60 for later, sooner in pairwise(seconds)}


def test_beat_that_waits_for_its_database_ends_when_it_is_told_to(fleet: Fleet, tmp_path: Path) -> None:
    log, environ = tmp_path / "waiting.log", {"DATABASE_URL": "postgres://nobody@127.0.0.1:1/nothing"}
    words = ("-m", "celery", "-A", "dockmgr", "beat", "--pidfile", "")
    process = fleet.start(*words, environ=environ, log=log)
    try:
        wait_until(lambda: "Beat waits for the database" in log.read_text(), 60)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
        assert "Traceback" not in log.read_text()
    finally:
        end(process)


@pytest.mark.thorough
def test_two_workers_and_two_beats_do_everything_once(fleet: Fleet) -> None:
    fleet.provision_all("calm", "killed", "wedged")
    with ExitStack() as running:
        for _ in range(2):
            running.enter_context(fleet.worker())
            running.enter_context(fleet.beat())
        wait_until(lambda: sweeps(fleet) >= 2)
        fleet.container("killed").kill()
        fleet.switch("wedged", "hang")
        wait_until(lambda: restarts_begun(fleet) == {"killed": 1, "wedged": 1})
        all_healthy(fleet)
        seen = sweeps(fleet)
        wait_until(lambda: sweeps(fleet) >= seen + 3)
    assert restarts_begun(fleet) == {"killed": 1, "wedged": 1}
    assert {name: fleet.boots(name) for name in fleet.containers()} == {"calm": 1, "killed": 2, "wedged": 2}
    every_sweep_once(fleet)


def every_sweep_once(fleet: Fleet) -> None:
    """No two sweeps closer together than the interval, and no instance twice in one."""
    slots = [float(at) for (at,) in fleet.sql(
        "SELECT strftime('%s', slot) FROM instances_sweep WHERE slot IS NOT NULL ORDER BY slot"
    )]  # fmt: skip
    assert min(later - sooner for sooner, later in pairwise(slots)) >= 2
    counted = "SELECT count(*) FROM instances_check WHERE sweep_id IS NOT NULL GROUP BY sweep_id, instance_id"
    assert set(fleet.sql(counted)) == {(1,)}
