"""What an engine tells of its containers as it happens: lines of JSON, read as hostile. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from instances.containers.facts import ContainerEvent
from instances.engine.answers import UnreadableAnswerError, readable

# What may mean that an instance has to be looked at; the rest (exec, attach, top, …) is left out.
TOLD = ("die", "oom", "stop", "start", "destroy", "rename", "pause", "unpause", "health_status")
DISCONNECT = "disconnect"  # of a network, which tells of the container among its attributes
_ALSO = {"remove": "destroy", "died": "die"}  # as Podman calls them, the second up to 4 when it is asked
LONGEST_LINE = 64 * 1024
_EVENT = {
    "Type": str,
    "Action": str,
    "Actor": {"ID": str, "Attributes": {"container": str, "exitCode": str}},
    "timeNano": int,
}


def asked_for(since: int | None) -> dict[str, str]:
    """The parameters of the request; `since` is a moment of the engine's clock, in nanoseconds."""
    told = {"filters": json.dumps({"type": ["container", "network"], "event": [*TOLD, *_ALSO, DISCONNECT]})}
    if since is not None:
        told["since"] = f"{since // 10**9}.{since % 10**9:09d}"
    return told


def container_events(chunks: Iterable[bytes]) -> Iterator[ContainerEvent]:
    """The events of a stream, however it is cut into chunks; a line that can't be read is left out."""
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from filter(None, map(_event, lines))
        if len(rest) > LONGEST_LINE:
            rest = b""


def _event(line: bytes) -> ContainerEvent | None:
    try:
        told = readable(json.loads(line), _EVENT, "Action")
    except (ValueError, RecursionError, UnreadableAnswerError):
        return None
    actor, at = told.get("Actor") or {}, told.get("timeNano")
    container = actor.get("ID")
    if told.get("Type") == "network":
        is_left = told["Action"] == DISCONNECT
        container = (actor.get("Attributes") or {}).get("container") if is_left else None
    action = str(_ALSO.get(told["Action"], told["Action"]))
    code = str((actor.get("Attributes") or {}).get("exitCode") or "")
    exit_code = int(code) if code.isascii() and code.isdigit() and len(code) < 4 else None
    return ContainerEvent(container, action, at, exit_code) if container and at else None
