"""A private image registry on loopback, from Debian's package docker-registry."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dev.servers.folders import work_folder
from dev.servers.packages import require
from dev.servers.ports import on_free_port
from dev.servers.process import ServerProcess

CONFIG = """version: 0.1
log: {{level: info}}
storage:
  filesystem: {{rootdirectory: "{data}"}}
  delete: {{enabled: true}}
http: {{addr: "127.0.0.1:{port}"{http}}}
{more}
"""


# It may want a login first, or TLS.
ANSWERS = (http.client.OK, http.client.UNAUTHORIZED, http.client.BAD_REQUEST)


class Registry:
    """A running registry; `address` is HOST:PORT as it stands in an image's name."""

    def __init__(self, program: str, folder: Path, port: int, http: str = "", more: str = "") -> None:
        self.address = f"127.0.0.1:{port}"
        config = folder / "config.yml"
        config.write_text(CONFIG.format(data=folder / "images", port=port, http=http, more=more))
        self._command = [program, "serve", str(config)]
        self._folder = folder
        self.start()

    def start(self) -> None:
        """Serve again at the same address, with what was pushed before."""
        self._server = ServerProcess(
            "The registry", self._command, self._folder / "registry.log", folders=[self._folder]
        )
        try:
            self._server.wait_until(self._answers)
        except BaseException:
            self._server.stop()
            raise

    def stop(self) -> None:
        """End it; pushed images stay for `start`."""
        self._server.stop()

    def _answers(self) -> bool:
        """Its own log must say that it listens: another server may sit on the port."""
        if "listening on" not in self._server.output():
            return False
        connection = http.client.HTTPConnection(self.address, timeout=5)
        try:
            connection.request("GET", "/v2/")
            return connection.getresponse().status in ANSWERS
        except OSError:
            return False
        finally:
            connection.close()


@contextmanager
def registry(folder: Path, http: str = "", more: str = "") -> Iterator[Registry]:
    """A private registry below `folder`, empty at first and gone at exit.

    `more` is further configuration in YAML, `http` further keys of that part.
    """
    program = require("docker-registry", "docker-registry", "An image registry")
    with work_folder(folder, "registry") as work:
        running = on_free_port(lambda port: Registry(program, work, port, http, more))
        try:
            yield running
        finally:
            running.stop()
