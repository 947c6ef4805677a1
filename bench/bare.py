"""The floor: an asynchronous prober without state, messages or database, on the same targets.

Run as `python -m bench.bare FILE`; prints one JSON line of seconds and CPU seconds.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from pathlib import Path

import aiohttp

AT_ONCE = 100


async def probe_all(ports: list[int]) -> int:
    gate = asyncio.Semaphore(AT_ONCE)
    connector = aiohttp.TCPConnector(limit=AT_ONCE, force_close=True)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(5)) as session:

        async def one(port: int) -> bool:
            async with gate, session.get(f"http://127.0.0.1:{port}/healthz") as answer:
                return bool((await answer.json())["ok"])

        return sum(await asyncio.gather(*(one(port) for port in ports)))


if __name__ == "__main__":
    ports = json.loads(Path(sys.argv[1]).read_text())["ports"]
    began, cpu = time.perf_counter(), time.process_time()
    healthy = asyncio.run(probe_all(ports))
    seconds, used = time.perf_counter() - began, time.process_time() - cpu
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"checks": healthy, "seconds": seconds, "cpu_seconds": used, "megabytes": memory}))
