"""Looking at real containers and processes, for the tests that start some."""

from __future__ import annotations

import http.client
import io
import json
import os
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import docker
from docker.models.containers import Container

TAG = "dockmgr-demo:1.0.0"


def wait_until(true: Callable[[], bool], seconds: float = 180) -> None:
    """Return when it is true; the limit is for what never happens, not for a machine that is busy."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def processes_naming(text: str) -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and entry.name != str(os.getpid()):
            try:
                arguments = (entry / "cmdline").read_text(errors="replace")
            except OSError:  # it ended while we looked
                continue
            if text in arguments:
                found.append(arguments)
    return found


@contextmanager
def docker_client(url: str) -> Iterator[docker.DockerClient]:
    client = docker.DockerClient(base_url=url)
    try:
        yield client
    finally:
        client.close()


def run(client: docker.DockerClient, port: int, image: str = TAG, **options: Any) -> Container:
    ports = {"8080/tcp": ("127.0.0.1", port)}
    return client.containers.run(image, detach=True, init=True, ports=ports, **options)


def get(
    port: int, path: str = "/healthz", timeout: float = 5, host: str = "127.0.0.1"
) -> tuple[int, dict[str, Any]]:
    connection = http.client.HTTPConnection(host, port, timeout=timeout)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def is_up(port: int, host: str = "127.0.0.1") -> bool:
    try:
        return get(port, host=host)[0] == 200
    except OSError:
        return False


def container_output(container: Container, command: str) -> str:
    """What a command in the container prints."""
    output = container.exec_run(command).output
    assert isinstance(output, bytes)
    return output.decode()


def file_in(container: Container, path: str) -> str:
    """What a file in the container holds."""
    parts, _ = container.get_archive(path)
    with tarfile.open(fileobj=io.BytesIO(b"".join(parts))) as archive:
        [entry] = archive.getmembers()
        file = archive.extractfile(entry)
        assert file is not None
        return file.read().decode()
