"""docker-autoheal's loop in Python, and a little kinder: it restarts what has exited as well.

docker-autoheal asks every five seconds for `/containers/json` with the filters `health=unhealthy` and its
label, restarts what it finds, one after another and each within a stop timeout, calls its webhook after each,
and sleeps. It knows what the image's HEALTHCHECK says and nothing else, and does nothing about containers
that have exited, were removed or renamed. This one asks for `status=exited` beside it, so that it has
something to do about what was killed.
"""

from __future__ import annotations

import json
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import docker

SECONDS = 5.0
FILTERS = ({"status": ["exited"]}, {"health": ["unhealthy"]})


class Autoheal:
    """Runs while the block does. `noticed` has when it found each container, by name, as time.time()."""

    def __init__(self, engine_url: str, label: str, webhook: str, stop_timeout: int) -> None:
        self._client = docker.DockerClient(base_url=engine_url)
        self._label, self._webhook, self._stop_timeout = label, webhook, stop_timeout
        self._over = threading.Event()
        self.noticed: dict[str, list[float]] = {}

    @contextmanager
    def running(self) -> Iterator[Autoheal]:
        thread = threading.Thread(target=self._run)
        thread.start()
        try:
            yield self
        finally:
            self._over.set()
            thread.join()
            self._client.close()

    def _run(self) -> None:
        while not self._over.is_set():
            for container, name in self._ill():
                self.noticed.setdefault(name, []).append(time.time())
                self._client.api.restart(container, timeout=self._stop_timeout)
                threading.Thread(target=self._tell, args=(name,)).start()
            self._over.wait(SECONDS)

    def _ill(self) -> list[tuple[str, str]]:
        found = [
            self._client.api.containers(all=True, filters={"label": [self._label], **only})
            for only in FILTERS
        ]
        return [(row["Id"], row["Names"][0].lstrip("/")) for rows in found for row in rows]

    def _tell(self, name: str) -> None:
        body = json.dumps({"text": f"Container {name} found to be unhealthy.", "container": name}).encode()
        request = urllib.request.Request(
            self._webhook, body, {"Content-Type": "application/json"}, method="POST"
        )
        urllib.request.urlopen(request, timeout=SECONDS).close()
