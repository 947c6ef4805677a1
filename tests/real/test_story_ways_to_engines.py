"""A customer whose engine is reached over TLS, then over SSH, while files, keys and lines go wrong."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.real.certificates import TlsDoor, sign
from tests.real.fleet import Fleet, a_fleet, ended_well
from tests.real.images import RANDOM_LAYER, Shelf
from tests.real.live import wait_until
from tests.real.narrow_path import NarrowPath, State
from tests.real.ssh_server import SshServer

SOON = {"DOCKMGR_HOST_ASK_INTERVAL": "1", "DOCKMGR_HOST_INTERVAL": "1", "DOCKMGR_HOST_GRACE": "1"}
INCIDENTS = "SELECT kind, cause, severity FROM instances_incident WHERE resolved_at IS NULL ORDER BY kind"
OF_CUSTOMERS = "SELECT count(*) FROM instances_incident WHERE kind = 'instance'"


@pytest.fixture
def fleet(home: Path, docker_url: str, broker_url: str, demo_image: str, database: str) -> Iterator[Fleet]:
    with a_fleet(
        home, docker_url, broker_url, demo_image, database_url=database, environ=SOON, start_grace=20
    ) as fleet:
        yield fleet


def apply(fleet: Fleet, **host: Any) -> None:
    ended_well(fleet.run("apply", "-", stdin=json.dumps({"hosts": [{"name": "local", **host}]})))


def swept(fleet: Fleet, code: int = 0) -> list[tuple[Any, ...]]:
    """What is wrong after a sweep by hand."""
    fleet.json("daily_health", code=code)
    return fleet.sql(INCIDENTS)


def nobody_is_blamed(fleet: Fleet) -> bool:
    return fleet.sql(OF_CUSTOMERS) == [(0,)] and fleet.health("restarts_used") == {"c1": 0}


@pytest.mark.thorough
def test_what_is_wrong_with_files_is_the_hosts(fleet: Fleet, tmp_path: Path, docker_url: str) -> None:
    ca, other = sign(tmp_path, "ca"), sign(tmp_path, "other")
    server, ours = sign(tmp_path, "server", ca, days=9), sign(tmp_path, "ours", ca)
    theirs = tmp_path / "trusted.pem"
    shutil.copy(ca.cert_file, theirs)
    with TlsDoor(urlsplit(docker_url).path, server, ca).open() as url:
        refused = fleet.run("apply", "-", stdin=json.dumps({"hosts": [{"name": "local", "docker_url": url}]}))
        assert (refused.returncode, "insecure: true" in refused.stderr) == (2, True)
        files = {"ca": str(theirs), "cert": ours.cert_file, "key": ours.key_file}
        apply(fleet, docker_url=url, tls=files)
        fleet.provision("c1")
        assert swept(fleet) == [("certificate", "engine", "warning")]
        shutil.copy(other.cert_file, theirs)
        wait_until(lambda: ("host", "configuration", "critical") in swept(fleet))
        [said] = fleet.sql("SELECT message FROM instances_incident WHERE kind = 'host'")
        assert "its certificate is not signed by the authority in" in said[0]
        theirs.unlink()
        done = fleet.run("restart", "--customer-id", fleet.customer("c1"))
        assert (done.returncode, "can't be read: No such file" in done.stdout + done.stderr) == (3, True), (
            done
        )
        assert nobody_is_blamed(fleet)
        shutil.copy(ca.cert_file, theirs)
        wait_until(lambda: swept(fleet) == [("certificate", "engine", "warning")])
        assert (nobody_is_blamed(fleet), fleet.health()) == (True, {"c1": "healthy"})


@pytest.mark.thorough
def test_over_ssh_a_change_goes_on_after_its_line_was_cut(
    shelf: Shelf, fleet: Fleet, tmp_path: Path, docker_url: str
) -> None:
    (tmp_path / "ssh").mkdir()
    with SshServer(tmp_path / "ssh", docker_url).running() as ssh:
        keys = {"key": ssh.file("good"), "known_hosts": ssh.file("known")}
        apply(fleet, docker_url=ssh.url, ssh=keys)
        fleet.provision("c1", BOOT_SECONDS="5")
        with fleet.command("restart", "--customer-id", fleet.customer("c1")) as restart:
            wait_until(lambda: fleet.at_step("c1", "wait until healthy"), 30)
            ssh.cut()
            assert restart.wait(120) == 0
        with ExitStack() as stack:
            shelf.push_changed("new", RANDOM_LAYER)
            path = stack.enter_context(NarrowPath(shelf.server.address).running())
            image = shelf.ref("new", path.address)
            asked = ("--customer-id", fleet.customer("c1"), "--image", image)
            update = stack.enter_context(fleet.command("update", *asked))
            assert path.under_way.wait(60)  # in the middle of the pull
            ssh.cut()
            path.cut(State.OPEN)
            wait_until(lambda: fleet.at_step("c1", "wait until healthy"), 60)
            ssh.cut()
            assert update.wait(120) == 0
            assert fleet.container("c1").image.id == fleet.docker.images.get(image).id
        assert nobody_is_blamed(fleet)
        apply(fleet, ssh={**keys, "known_hosts": ssh.file("nobody")})
        wait_until(lambda: ("host", "configuration", "critical") in swept(fleet))
        assert nobody_is_blamed(fleet)
