"""Prometheus with blackbox_exporter on the same targets, as Debian packages them."""

from __future__ import annotations

import json
import shutil
import time
from http.client import HTTPException
from urllib.request import urlopen

from bench.check_cost import Cost, Scene, megabytes, wait_for
from bench.processes import cpu_seconds
from dev.servers.ports import free_port

PROGRAMS = ("prometheus", "prometheus-blackbox-exporter")
WAY = "Prometheus and blackbox_exporter"
PER_SECOND = 300  # scrapes are spread over the interval, so that a check's cost does not hang on this
MODULE = {"modules": {"http_2xx": {"prober": "http", "timeout": "5s"}}}


def is_installed() -> bool:
    return all(shutil.which(program) for program in PROGRAMS)


def prometheus(scene: Scene) -> Cost:
    """Two rounds of scrapes after a first one, which warms up and does not count."""
    every = max(5, scene.count // PER_SECOND)
    folder, own, exporter = scene.folder / "prometheus", free_port(), free_port()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    # JSON is YAML.
    blackbox, config = folder / "blackbox.yml", folder / "prometheus.yml"
    blackbox.write_text(json.dumps(MODULE))
    config.write_text(json.dumps(_config(scene, every, exporter)))
    words = (f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}", _listen(own))
    with (
        scene.program(PROGRAMS[1], f"--config.file={blackbox}", _listen(exporter)) as a,
        scene.program(PROGRAMS[0], *words) as b,
    ):
        pids = (a.pid, b.pid)
        wait_for(lambda: _succeed(own) == scene.count, 60 + 3 * every, "Prometheus' first round")
        before, began = sum(map(cpu_seconds, pids)), time.perf_counter()
        time.sleep(2 * every)
        spent, seconds = sum(map(cpu_seconds, pids)) - before, time.perf_counter() - began
        if _succeed(own) != scene.count:
            raise SystemExit("Some of Prometheus' probes failed; see processes.log.")
        memory = max(megabytes(pid, "VmHWM") for pid in pids)
        checks = round(scene.count * seconds / every)
        return Cost(WAY, checks, seconds, spent, memory=memory, is_as_fast_as_it_can=False)


def _listen(port: int) -> str:
    return f"--web.listen-address=127.0.0.1:{port}"


def _config(scene: Scene, every: int, exporter: int) -> dict[str, object]:
    ports = json.loads(scene.ports_file.read_text())["ports"]
    return {
        "scrape_configs": [
            {
                "job_name": "health",
                "scrape_interval": f"{every}s",
                "scrape_timeout": "5s",
                "metrics_path": "/probe",
                "params": {"module": ["http_2xx"]},
                "static_configs": [{"targets": [f"http://127.0.0.1:{port}/healthz" for port in ports]}],
                "relabel_configs": [
                    {"source_labels": ["__address__"], "target_label": "__param_target"},
                    {"source_labels": ["__param_target"], "target_label": "instance"},
                    {"target_label": "__address__", "replacement": f"127.0.0.1:{exporter}"},
                ],
            }
        ]
    }


def _succeed(port: int) -> int:
    """How many targets its last look at them found well."""
    try:
        with urlopen(f"http://127.0.0.1:{port}/api/v1/query?query=sum(probe_success)", timeout=10) as answer:
            found = json.load(answer)["data"]["result"]
    except (OSError, ValueError, HTTPException):  # one that is busy cuts its answers short
        return 0
    return int(found[0]["value"][1]) if found else 0
