"""`python -m bench.disturbed [COUNT]`: what a sweep comes to when its servers die under it.

One fleet of COUNT targets, of which two of a hundred hang, and two workers. In the middle of a sweep one
worker is killed, and another one started; then Redis, which keeps what it has in a file, ends and comes
back. Prints as one JSON document how often that sweep and the two after it have looked at each instance.
"""

from __future__ import annotations

import json
import os
import signal
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from bench.arguments import count
from bench.check_cost import wait_for
from bench.hanging import COUNT, a_fleet, worker
from dev.servers import postgres, redis_server

INTERVAL = 60  # seconds: a sweep that lacks checks is closed after that
REDIS_AWAY = 1.0


def looked_at(number: int) -> int:
    """How many instances a sweep has looked at by now."""
    from bench.database import sweep_result

    return int(sweep_result(number)["once"])


def over(number: int) -> dict[str, object]:
    """What has become of the sweep of this number, from 0, when it is closed."""
    from bench.database import sweep_result

    began = time.perf_counter()
    wait_for(lambda: sweep_result(number)["state"] != "running", 5 * INTERVAL, "The end of a sweep")
    return {"seconds": round(time.perf_counter() - began, 1), **sweep_result(number)}


def begun() -> int:
    """Order a sweep; returns its number when it has begun."""
    from bench.database import publish_sweep, sweeps_begun

    number = sweeps_begun()
    publish_sweep()
    wait_for(lambda: sweeps_begun() > number, INTERVAL, "The beginning of a sweep")
    return number


def main(count: int) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="dockmgr-bench-") as name,
        postgres(Path(name), {}) as database,
        ExitStack() as redis,
    ):
        folder = Path(name)

        def start_redis() -> str:
            return redis.enter_context(redis_server(folder, socket=folder / "redis.sock", persist=True))

        settings = {"DOCKMGR_HISTORY_EVERY": "0", "DOCKMGR_SWEEP_INTERVAL": str(INTERVAL)}
        with (
            a_fleet(count, folder, start_redis(), database, **settings) as (scene, targets),
            worker(scene, "a") as first,
            worker(scene, "b"),
        ):
            found: dict[str, object] = {"targets": count, "undisturbed": over(begun())}
            os.kill(targets, signal.SIGUSR1)
            number = begun()
            wait_for(lambda: looked_at(number) >= count // 5, INTERVAL, "A fifth of a sweep")
            first.kill()
            with worker(scene, "c"):
                wait_for(lambda: looked_at(number) >= 2 * count // 5, INTERVAL, "Two fifths of a sweep")
                redis.close()
                time.sleep(REDIS_AWAY)
                start_redis()
                found |= {"disturbed": over(number), "the next two": [over(begun()), over(begun())]}
    print(json.dumps(found))


if __name__ == "__main__":
    main(count(COUNT))
