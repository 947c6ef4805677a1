"""Images in a registry of our own: the demo image in all the ways a release can go wrong."""

from __future__ import annotations

import io
import json
import tarfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker

from dev.demo_image import build
from dev.servers.registry import Registry, registry
from tests.real.live import docker_client

DIES_LATER = "sleep 3; wget -q -O- http://127.0.0.1:8080/mode/exit"
SICKENS_LATER = "sleep 3; wget -q -O- http://127.0.0.1:8080/mode/503"


# A layer no engine has, large enough that its transfer can be cut.
RANDOM_LAYER = 'RUN ["/bin/busybox", "dd", "if=/dev/urandom", "of=/blob", "bs=1000", "count=1000"]'


class Shelf:
    """Pushes images and keeps none of them on the engine; `prefix` names all of them."""

    def __init__(self, client: docker.DockerClient, docker_url: str, server: Registry) -> None:
        self.server = server
        self.prefix = f"shelf-{uuid.uuid4().hex[:8]}"
        self._client, self._docker_url = client, docker_url

    def ref(self, tag: str, address: str | None = None) -> str:
        return f"{address or self.server.address}/{self.prefix}:{tag}"

    def push(self, tag: str, **environment: str) -> str:
        """Push the demo image with this environment, unlike any other; returns its reference."""
        build(self._docker_url, self.ref(tag), environment=environment, labels={"pushed": uuid.uuid4().hex})
        return self._push(tag)

    def push_changed(self, tag: str, *lines: str) -> str:
        """Push what these lines of a Dockerfile make of the demo image."""
        base = f"{self.prefix}-base:{tag}"
        build(self._docker_url, base)
        text = "\n".join((f"FROM {base}", *lines))
        self._client.images.build(fileobj=io.BytesIO(text.encode()), tag=self.ref(tag), rm=True)
        self._client.images.remove(base)
        return self._push(tag)

    def push_with(self, tag: str, beside: str) -> str:
        """Push a demo image that runs a shell script beside its program."""
        return self.push_changed(tag, f'ENTRYPOINT ["/bin/sh", "-c", "({beside}) & exec /srv/start.sh"]')

    def push_for(self, tag: str, architecture: str) -> str:
        """Push the demo image with a configuration that says it is built for another machine."""
        build(self._docker_url, self.ref(tag))
        saved = b"".join(self._client.images.get(self.ref(tag)).save(named=True))
        self._client.images.remove(self.ref(tag))
        self._client.images.load(_built_for(architecture, saved))
        return self._push(tag)

    def _push(self, tag: str) -> str:
        for event in self._client.images.push(self.ref(tag), stream=True, decode=True):
            assert "error" not in event, event
        self._client.images.remove(self.ref(tag))
        return self.ref(tag)

    def clean_up(self) -> None:
        for image in self._client.images.list():
            if any(self.prefix in name for name in (*image.tags, *image.attrs["RepoDigests"])):
                self._client.images.remove(str(image.id), force=True)


def _built_for(architecture: str, saved: bytes) -> bytes:
    """A saved image (a tar of tars and JSON) whose configuration names another architecture."""
    changed = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(saved)) as old, tarfile.open(fileobj=changed, mode="w") as new:
        for entry in old:
            content = old.extractfile(entry).read() if entry.isfile() else b""  # type: ignore[union-attr]
            if b'"rootfs"' in content[-4096:] and entry.name.endswith(".json"):
                content = json.dumps({**json.loads(content), "architecture": architecture}).encode()
            entry.size = len(content)
            new.addfile(entry, io.BytesIO(content))
    return changed.getvalue()


@contextmanager
def a_shelf(folder: Path, docker_url: str) -> Iterator[Shelf]:
    """A registry with a shelf, both gone at the end with all images that came from there."""
    with registry(folder) as server, docker_client(docker_url) as client:
        shelf = Shelf(client, docker_url, server)
        try:
            yield shelf
        finally:
            shelf.clean_up()
