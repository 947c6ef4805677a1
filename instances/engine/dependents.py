"""Which containers can't be started without another one, whose network or processes they share. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

_CONTAINER = "container:"
_SHARED = ("NetworkMode", "PidMode", "IpcMode")


def shares_with(host_config: Mapping[str, Any], names: Collection[str]) -> bool:
    """Whether a container with this HostConfig lives in a namespace of the one known by `names`."""
    modes = [host_config.get(key) for key in _SHARED]
    return any(
        isinstance(mode, str) and mode.startswith(_CONTAINER) and mode.removeprefix(_CONTAINER) in names
        for mode in modes
    )
