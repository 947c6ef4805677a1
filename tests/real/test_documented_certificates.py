"""The certificates that docs/production.md has made for an engine serve, by the strict rules too."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import threading
from pathlib import Path

import pytest

pytestmark = pytest.mark.real
MANUAL = (Path(__file__).resolve().parents[2] / "docs" / "production.md").read_text()
HOST = "10.0.0.7"
PATIENCE = 60  # seconds


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the commands of the manual were run, with quicker keys."""
    folder = tmp_path_factory.mktemp("made")
    begin = "One way to make the authority and both pairs"
    commands = MANUAL.partition(begin)[2].split("```")[1].replace("rsa:3072", "rsa:2048")
    environ = {"PATH": os.environ["PATH"]}
    subprocess.run(
        ["sh", "-e"],
        input=commands,
        text=True,
        cwd=folder,
        env=environ,
        check=True,
        stderr=subprocess.DEVNULL,
    )
    return folder


def test_both_sides_trust_each_other_by_the_strict_rules(made: Path) -> None:
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=made / "ca.pem")
    server.load_cert_chain(made / "cert.pem", made / "key.pem")
    server.verify_mode = ssl.CERT_REQUIRED
    client = ssl.create_default_context(cafile=made / "ca.pem")
    client.load_cert_chain(made / "client.pem", made / "client-key.pem")
    for side in (server, client):
        side.verify_flags |= ssl.VERIFY_X509_STRICT  # the usual of Python 3.13 and newer
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(PATIENCE)
        theirs.settimeout(PATIENCE)
        answering = threading.Thread(target=answer, args=(server, theirs))
        answering.start()
        with client.wrap_socket(ours, server_hostname=HOST) as line:
            assert line.recv(5) == b"hello"
        answering.join(PATIENCE)


def answer(context: ssl.SSLContext, line: socket.socket) -> None:
    with context.wrap_socket(line, server_side=True) as side:
        side.sendall(b"hello")
