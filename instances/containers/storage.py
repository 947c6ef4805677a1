"""What of a container outlives it: named volumes, and files and folders of the host. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from instances.containers import option_words
from instances.containers.spec import CUSTOMER_LABEL, ContainerSpec, is_made_elsewhere, is_managed

Json = dict[str, Any]
_COMPOSE_LABEL = "com.docker.compose.project"


def volumes(spec: ContainerSpec) -> dict[str, str]:
    """Named volumes of a container that is to be made, by name, with their paths in it."""
    if spec.raw is not None:
        return mounted(spec.raw["HostConfig"])
    return dict(spec.volumes)


def mounted(host: Json) -> dict[str, str]:
    """Named volumes in the host's side of a container's configuration, with their paths in it."""
    binds = (bind.split(":") for bind in host.get("Binds") or [])
    found = {parts[0]: parts[1] for parts in binds if len(parts) > 1 and not parts[0].startswith("/")}
    mounts = (mount for mount in host.get("Mounts") or [] if mount["Type"] == "volume")
    return {**found, **{mount["Source"]: mount["Target"] for mount in mounts if mount.get("Source")}}


def dropped(held: Mapping[str, str], wanted: Mapping[str, str]) -> list[str]:
    """What a container that mounts `wanted` would no longer have of what is `held`, in words."""
    there = {(name, option_words.shortest(path)) for name, path in wanted.items()}
    return [
        f"{name} at {path}"
        for name, path in sorted(held.items())
        if (name, option_words.shortest(path)) not in there
    ]


def is_customers(labels: Mapping[str, str], customer_id: str, installation: str = "") -> bool:
    """Whether dockmgr made the volume that carries these labels, for this customer.

    With an `installation`, whether that one did, as far as labels tell.
    """
    return is_managed(labels, installation) and labels.get(CUSTOMER_LABEL) == customer_id


def is_foreign(labels: Mapping[str, str], customer_id: str, *, adopted: bool = False) -> bool:
    """Whether a volume that is found where the customer's data was is somebody else's by now.

    One without any label may have been put back by hand. Labels of other tools say that they made it,
    unless theirs may have been on it when the customer's container was `adopted`.
    """
    says = is_managed(labels) if adopted else bool(labels)
    return says and not is_customers(labels, customer_id)


def owner(labels: Mapping[str, str], installation: str = "") -> str:
    """Whose the volume with these labels is, as far as they say, to this `installation`."""
    if is_managed(labels):
        customer = f"customer {labels.get(CUSTOMER_LABEL) or 'unknown'}"
        return f"{customer} of another dockmgr" if is_made_elsewhere(labels, installation) else customer
    project = labels.get(_COMPOSE_LABEL)
    if project:
        return f"the compose project {project}"
    return "somebody who left no label of ours on it"
