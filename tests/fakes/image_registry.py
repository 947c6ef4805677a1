"""A registry of tiny images over HTTP, whose tags move and whose layers can be spoilt."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from typing import Any

from tests.fakes.stub_server import Answer, StubServer, as_json

_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_UNKNOWN = as_json({"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}, 404)


class ImageRegistry:
    """Serve it with `with registry.server.running()`; references start with `registry.server.address`."""

    def __init__(self) -> None:
        self._blobs: dict[str, bytes] = {}
        self._tags: dict[str, bytes] = {}
        self.server = StubServer(self._answer)

    def push(self, name: str, content: str, *, spoilt: bool = False) -> str:
        """Point `name` ("agent:1") to an image with one file of that content; returns the image's id.

        A spoilt image's layer is not what its manifest says.
        """
        layer = _layer(content)
        config = json.dumps(
            {
                "architecture": "amd64",
                "os": "linux",
                "config": {"Labels": {"content": content}},
                "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
            }
        ).encode()
        packed = gzip.compress(layer, mtime=0)
        manifest = {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": self._keep("application/vnd.docker.container.image.v1+json", config),
            "layers": [self._keep("application/vnd.docker.image.rootfs.diff.tar.gzip", packed)],
        }
        if spoilt:
            self._blobs[_digest(packed)] = bytes(len(packed))
        self._tags[name] = json.dumps(manifest).encode()
        return _digest(config)

    def ids(self, name: str) -> set[str]:
        """What engines call the image `name` points to: the digest of its configuration, or its manifest."""
        manifest = self._tags[name]
        return {str(json.loads(manifest)["config"]["digest"]), _digest(manifest)}

    def _keep(self, media_type: str, data: bytes) -> dict[str, Any]:
        self._blobs[_digest(data)] = data
        return {"mediaType": media_type, "size": len(data), "digest": _digest(data)}

    def _answer(self, path: str) -> Answer | None:
        if path == "/v2/":
            return as_json({})
        name, kind, reference = path.removeprefix("/v2/").rsplit("/", 2)
        if kind == "blobs":
            return Answer(body=self._blobs[reference], content_type="application/octet-stream")
        by_digest = {_digest(manifest): manifest for manifest in self._tags.values()}
        manifest = by_digest.get(reference) or self._tags.get(f"{name}:{reference}")
        return Answer(body=manifest, content_type=_MANIFEST) if manifest else _UNKNOWN


def _layer(content: str) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        entry = tarfile.TarInfo("content")
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content.encode()))
    return file.getvalue()


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
