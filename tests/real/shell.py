"""Shell commands as containers, for logs and endings of every kind."""

from __future__ import annotations

import itertools
from typing import Any

import docker


class Shell:
    """Runs shell commands as containers of the demo image."""

    def __init__(self, client: docker.DockerClient, image: str, prefix: str) -> None:
        self._client, self._image, self._prefix = client, image, prefix
        self._serial = itertools.count(1)

    def start(self, command: str, **options: Any) -> str:
        name = f"{self._prefix}-sh{next(self._serial)}"
        entrypoint = ["/bin/busybox", "sh", "-c", command]
        self._client.containers.run(
            self._image, entrypoint=entrypoint, name=name, detach=True, **{"init": True, **options}
        )
        return name

    def run(self, command: str, **options: Any) -> str:
        """Like `start`, but returns when the command has ended."""
        name = self.start(command, **options)
        assert self._client.containers.get(name).wait(timeout=60)["StatusCode"] == 0
        return name
