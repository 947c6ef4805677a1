"""The demo image: a static busybox and two shell scripts that answer like a customer's gateway.

It listens on port 8080 (`PORT`) and answers GET /healthz with `ok`, `status`, `version` and `uptime`
in seconds. GET /mode/MODE changes that until the next restart, the variable `MODE` from every boot on:
`ok`, `notok`, `starting`, `hang`, `exit` or a status code such as `503`. `BOOT_SECONDS` keeps the port
closed that long, `DEMO_VERSION` is the version told, and each boot adds a line to /data/boots if there is
a folder /data.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path

import docker
from docker.errors import BuildError, DockerException
from requests import RequestException

from dev.servers.failures import ServerFailed
from dev.servers.packages import find, require

PORT = 8080
BUILD_TIMEOUT = 120  # seconds
APPLETS = ("sh", "cat", "date", "ls", "mkdir", "mv", "nc", "ps", "rm", "sleep", "wget")
FILES = Path(__file__).with_name("files")
_DOCKERFILE = """FROM scratch
COPY rootfs/ /
ENV {environment}
EXPOSE {port}
{instruction}
ENTRYPOINT ["/srv/start.sh"]
"""


def build(
    docker_url: str,
    tag: str,
    *,
    version: str = "1.0.0",
    environment: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
    healthcheck: str = "",
) -> str:
    """Build the image on that engine, which needs no network and no file of ours; returns its id.

    `environment`, `labels` and the words of a HEALTHCHECK are added to the image's own. `ServerFailed` when
    the engine refuses.
    """
    context = _context({"DEMO_VERSION": version, **(environment or {})}, healthcheck)
    own = {"dockmgr.demo": "true", "org.opencontainers.image.version": version}
    try:
        client = docker.DockerClient(base_url=docker_url, timeout=BUILD_TIMEOUT, use_ssh_client=True)
        try:
            image, _ = client.images.build(
                fileobj=context, custom_context=True, tag=tag, rm=True, labels={**own, **(labels or {})}
            )
        finally:
            client.close()
    except (BuildError, DockerException, RequestException) as error:
        raise ServerFailed(f"The demo image could not be built: {error}") from error
    return str(image.id)


def _context(environment: Mapping[str, str], healthcheck: str) -> io.BytesIO:
    busybox = Path(require("busybox", "busybox-static", "A static busybox", static_busybox))
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        _add(tar, "Dockerfile", _dockerfile(environment, healthcheck).encode())
        _add(tar, "rootfs/bin/busybox", busybox.read_bytes())
        for applet in APPLETS:
            _link(tar, f"rootfs/bin/{applet}", "busybox")
        for script in sorted(FILES.glob("*.sh")):
            _add(tar, f"rootfs/srv/{script.name}", script.read_bytes())
    content.seek(0)
    return content


def _dockerfile(environment: Mapping[str, str], healthcheck: str) -> str:
    settings = " ".join(f"{name}={_quoted(value)}" for name, value in environment.items())
    instruction = f"HEALTHCHECK {healthcheck}" if healthcheck else ""
    return _DOCKERFILE.format(environment=settings, port=PORT, instruction=instruction)


def _quoted(value: str) -> str:
    """JSON's quoting is a Dockerfile's, except that a dollar sign would name a variable."""
    return json.dumps(value, ensure_ascii=False).replace("$", "\\$")


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), 0o755
    tar.addfile(entry, io.BytesIO(content))


def _link(tar: tarfile.TarFile, name: str, target: str) -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = tarfile.SYMTYPE, target
    tar.addfile(entry)


def static_busybox(program: str) -> str | None:
    """A dynamic one names its loader among its first bytes, and would not run in an empty image."""
    path = find(program)
    if path is None or b"/ld-" in Path(path).read_bytes()[:4096]:
        return None
    return path
