"""The two programs that tell what a container reaches, run on this machine."""

from __future__ import annotations

import platform
import socket
import subprocess
from pathlib import Path

import pytest

from dev.servers import free_port
from instances.engine import probe_program as programs
from instances.engine.image_payloads import ARCHITECTURES
from tests.real.live import wait_until

HERE = ARCHITECTURES.get(platform.machine(), "")
LOOPBACK = "127.0.0.1"
pytestmark = pytest.mark.skipif(not programs.runs_on(HERE), reason="there is no program for this machine")


def a_file(folder: Path, name: str, program: bytes) -> str:
    file = folder / name
    file.write_bytes(program)
    file.chmod(0o755)
    return str(file)


def ends_with(path: str) -> int:
    return subprocess.run([path], timeout=10, check=False).returncode


def test_one_takes_connections_and_the_other_one_tells_whether_it_gets_one(tmp_path: Path) -> None:
    port = free_port()
    connects = a_file(tmp_path, "connects", programs.connect(HERE, LOOPBACK, port))
    listens = a_file(tmp_path, "listens", programs.listen(HERE, LOOPBACK, port))
    assert ends_with(connects) == 111
    with subprocess.Popen([listens]) as listening:
        wait_until(lambda: ends_with(connects) == 0, 10)
        assert ends_with(listens) == 98  # the address is in use
        assert listening.poll() is None
        listening.kill()


def test_the_address_is_the_one_that_was_asked_for(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.2", 0)) as server:
        port = server.getsockname()[1]
        assert ends_with(a_file(tmp_path, "there", programs.connect(HERE, "127.0.0.2", port))) == 0
        assert server.accept()[1][0].startswith("127.")


@pytest.mark.parametrize("architecture", ["amd64", "arm64"])
def test_a_program_ends_with_its_address(architecture: str) -> None:
    place = bytes([2, 0, 0x1F, 0x90, 169, 254, 169, 254]) + bytes(8)
    assert programs.connect(architecture, "169.254.169.254", 8080).endswith(place)
    assert place in programs.listen(architecture, "169.254.169.254", 8080)
    assert not programs.runs_on("s390x")
