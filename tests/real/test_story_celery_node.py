"""The examples of docs/tasks.md, run as they are written, against a real instance."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from dev.servers import redis_server
from dev.servers.packages import require
from tests.real.fleet import Fleet, a_fleet

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "tasks.md"
PACKAGE = "celery-node@0.5.9"
PATIENCE = 240  # seconds
LOG = """
import os
from celery import Celery
app = Celery("support", broker=os.environ["BROKER_URL"], backend=os.environ["BROKER_URL"])
prefix = {"global_keyprefix": os.environ["BROKER_PREFIX"]}
app.conf.update(broker_transport_options=prefix, result_backend_transport_options=prefix)
sent = app.send_task("dockmgr.logs", kwargs={"customer_id": os.environ["CUSTOMER"]}, queue="operations")
assert sent.get(timeout=60)["customer_id"] == os.environ["CUSTOMER"]
print(sent.id)
"""


def example(language: str) -> str:
    """The one program the document has in a language."""
    [program] = re.findall(rf"^```{language}\n(.*?)^```$", DOCUMENT.read_text(), re.DOTALL | re.MULTILINE)
    return str(program)


@pytest.fixture(scope="module")
def node_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which celery-node is installed, as a service of somebody else would have it."""
    folder = tmp_path_factory.mktemp("node")
    npm = require("npm", "npm", "npm, which brings celery-node,")
    words = ("install", "--no-audit", "--no-fund", "--ignore-scripts", "--cache", str(folder / "cache"))
    done = subprocess.run(
        [npm, *words, PACKAGE], cwd=folder, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("own:", id="a prefix"),
        pytest.param("", id="no prefix", marks=pytest.mark.thorough),
    ],
)
def fleet(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    docker_url: str,
    demo_image: str,
) -> Iterator[Fleet]:
    """A fleet with one customer, on a broker of its own that listens on TCP as other services need it."""
    home = tmp_path_factory.mktemp("home")
    prefix = {"DOCKMGR_BROKER_PREFIX": request.param}
    with (
        redis_server(tmp_path_factory.mktemp("broker"), tcp=True) as broker,
        a_fleet(home, docker_url, broker, demo_image, environ=prefix) as fleet,
        fleet.worker(),
    ):
        fleet.provision("one")
        yield fleet


def run(fleet: Fleet, *words: str, folder: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    given = {
        "PATH": os.environ["PATH"],
        "BROKER_URL": fleet.broker_url,
        "BROKER_PREFIX": fleet.environ["DOCKMGR_BROKER_PREFIX"],
        "CUSTOMER": fleet.customer("one"),
    }
    return subprocess.run(
        words, cwd=folder, env=given | environ, capture_output=True, text=True, timeout=PATIENCE, check=False
    )


def run_in_node(fleet: Fleet, program: str, folder: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    return run(fleet, require("node", "nodejs", "Node.js"), "-e", program, folder=folder, **environ)


def was_done(fleet: Fleet, done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """The operation whose id and status a program printed."""
    assert (done.returncode, done.stderr) == (0, "")
    identity, status = done.stdout.split()
    [operation] = [row for row in fleet.restarts("one") if row["id"] == identity]
    assert status == operation["status"] == "succeeded"
    return operation


def test_celery_node_restarts_a_real_instance_and_reads_the_result(fleet: Fleet, node_folder: Path) -> None:
    boots = fleet.boots("one")
    done = run_in_node(fleet, example("js"), node_folder, REQUEST="node-1")
    operation = was_done(fleet, done)
    assert (operation["requested_by"], operation["reason"]) == ("support", "asked by the customer")
    assert fleet.boots("one") == boots + 1
    again = run_in_node(fleet, example("js"), node_folder, REQUEST="node-1")
    assert was_done(fleet, again)["id"] == operation["id"]
    assert fleet.boots("one") == boots + 1


def test_celery_node_speaks_the_older_message_protocol_too(fleet: Fleet, node_folder: Path) -> None:
    older = "client.conf.TASK_PROTOCOL = 1;\n\nasync function main"
    program = example("js").replace("async function main", older)
    was_done(fleet, run_in_node(fleet, program, node_folder, REQUEST="node-2"))


def test_celery_node_learns_why_a_request_was_refused(fleet: Fleet, node_folder: Path) -> None:
    done = run_in_node(fleet, example("js"), node_folder, REQUEST="node-3", CUSTOMER="nobody")
    assert done.returncode == 1
    assert done.stderr == "RequestError [ 'There is no instance of customer nobody.' ]\n"


def test_the_python_example_restarts_and_reads_the_result(fleet: Fleet, tmp_path: Path) -> None:
    boots = fleet.boots("one")
    operation = was_done(
        fleet, run(fleet, sys.executable, "-c", example("python"), folder=tmp_path, REQUEST="python-1")
    )
    assert operation["requested_by"] == "billing"
    assert fleet.boots("one") == boots + 1


def test_results_are_small_json_documents_that_expire(fleet: Fleet, tmp_path: Path) -> None:
    done = run(fleet, sys.executable, "-c", example("python"), folder=tmp_path, REQUEST="python-2")
    assert done.returncode == 0, done.stderr
    with closing(fleet.redis()) as broker:
        keys = list(broker.scan_iter(f"{fleet.environ['DOCKMGR_BROKER_PREFIX']}celery-task-meta-*"))
        assert keys
        for key in keys:
            result = broker.get(key)
            assert isinstance(result, bytes) and len(result) < 10_000
            assert {"status", "result"} <= set(json.loads(result))
            assert 0 < int(str(broker.ttl(key))) <= 3600
        prefix = fleet.environ["DOCKMGR_BROKER_PREFIX"]
        log = run(fleet, sys.executable, "-c", LOG, folder=tmp_path)
        sent = log.stdout.strip()
        assert log.returncode == 0, log.stderr
        assert 0 < int(str(broker.ttl(f"{prefix}celery-task-meta-{sent}"))) <= 300
