"""The bridge that a host's customers share: what it is made of, and which that is there will do. Pure."""

from __future__ import annotations

import hashlib

from instances.containers.facts import EngineFacts, NetworkFacts
from instances.containers.spec import is_managed

DEFAULT = "dockmgr"
ENGINES_OWN = frozenset({"", "default", "bridge"})  # one network by all its names
BUILT_IN = ENGINES_OWN | {"host", "none"}
INTERFACES = "dockmgr-"  # how the names of the interfaces begin, for the rules of a firewall
_DRIVER = "bridge"
_BETWEEN_CONTAINERS = "com.docker.network.bridge.enable_icc"
_INTERFACE = "com.docker.network.bridge.name"
_LONGEST = 15  # characters of an interface's name


def options(name: str, engine: EngineFacts) -> dict[str, str]:
    """The driver's options for a host's bridge of this name: no traffic between its containers.

    The interface's name is the same whenever the network is made anew, so that rules of a firewall go on
    to hold, and is no other engine's on the same machine.
    """
    own = hashlib.sha256("\0".join((engine.id, engine.root, name)).encode()).hexdigest()
    return {_BETWEEN_CONTAINERS: "false", _INTERFACE: f"{INTERFACES}{own}"[:_LONGEST]}


def refusal(found: NetworkFacts) -> str:
    """Why customers can't be put into a network that is there, as words that follow its name; else nothing.

    What dockmgr made is believed, as some engines don't keep the option; what somebody else made must keep
    containers apart.
    """
    if found.driver != _DRIVER or found.internal:
        return "is no bridge with a way out"
    apart = found.options.get(_BETWEEN_CONTAINERS, "").lower() == "false"
    if not is_managed(found.labels) and not apart:
        lacks = f"it has no {_BETWEEN_CONTAINERS}=false"
        return f"is not dockmgr's, and lets containers reach each other: {lacks}"
    return ""
