"""How a volume gets an owner without a program: engines unpack archives into containers that never ran."""

from __future__ import annotations

import base64
import io
import json
import tarfile
from typing import Any

from instances.engine.answers import readable

HOLDER, HELD = "/dockmgr", "volume"  # where the volume is mounted: no image has anything there
_USUAL_MODE = 0o755


def holder_name(volume: str) -> str:
    """What the container is called that holds a volume; no customer's id has a dot."""
    return f"{volume}.owner"


def volume_holder(name: str, image: str, labels: dict[str, str]) -> dict[str, Any]:
    """The configuration of a container that holds the volume and is never started."""
    mount = {"Type": "volume", "Source": name, "Target": f"{HOLDER}/{HELD}"}
    never = {"Entrypoint": ["/never"], "Cmd": ["started"]}
    return {
        **never,
        "Image": image,
        "Labels": labels,
        "NetworkDisabled": True,
        "HostConfig": {"Mounts": [mount], "NetworkMode": "none"},
    }


def folder_mode(told: str) -> int:
    """The permissions in what an engine tells of a path in a container. Raises UnreadableAnswerError."""
    stat = readable(json.loads(base64.b64decode(told) or b"null"), {"mode": int})
    return (stat.get("mode") or _USUAL_MODE) & 0o777


def folder_archive(name: str, mode: int, owner: tuple[int, int]) -> bytes:
    """A tar file with nothing but a folder of this mode and owner."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        entry = tarfile.TarInfo(name)
        entry.type, entry.mode = tarfile.DIRTYPE, mode
        entry.uid, entry.gid = owner
        tar.addfile(entry)
    return packed.getvalue()
