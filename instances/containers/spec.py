"""What a customer's container should look like: one pure builder for every operation that makes one."""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any
from uuid import UUID

from instances.containers import adoption, option_words
from instances.containers.facts import short_id
from instances.containers.hardening import hardened
from instances.containers.options import DATA, NO_OPTIONS, OF_NO_CONTAINER, Options
from instances.lib import placeholders

DEFAULT_PIDS = 512
NO_NEW_PRIVILEGES = "no-new-privileges"

CUSTOMER_LABEL = "dockmgr.customer_id"
EXPIRES_LABEL = "dockmgr.expires_at"
INSTALLATION_LABEL = "dockmgr.installation"
MANAGED_LABEL = "dockmgr.managed"
OPERATION_LABEL = "dockmgr.operation"
PLAN_LABEL = "dockmgr.plan"
SPEC_LABEL = "dockmgr.spec"
_PREFIX = "dockmgr-"
# No customer id has a dot, so what is derived from one customer's name is never another customer's.
_NEXT, _PREVIOUS, _DEAD = ".next", ".previous", ".dead-"


@dataclass(frozen=True)
class PlanSpec:
    """The part of a plan that shapes a container. Memory in bytes, times in seconds."""

    name: str
    image: str
    cpus: float
    memory: int
    container_port: int
    pids: int | None = None
    stop_timeout: int = 10
    data_path: str | None = "/data"
    env: dict[str, str] = field(default_factory=dict, repr=False)
    options: Options = NO_OPTIONS
    asks_docker: bool = False  # for the health of its containers

    @property
    def volumes(self) -> dict[str, str]:
        """Paths in the container of what outlives it, by the volume's short name."""
        return all_volumes(self.data_path, self.options.volumes)


@dataclass(frozen=True)
class InstanceSpec:
    """The part of an instance that shapes its container; `env` and `adopted` hold secrets.

    `container` is the name of an adopted container, `adopted` what it has beyond its image. `further_ports`
    are the host's for the plan's `ports` (`9090/tcp`).
    """

    customer_id: str
    bind_address: str
    port: int
    image: str | None = None
    env: dict[str, str] = field(default_factory=dict, repr=False)
    expires_at: str | None = None
    container: str = ""
    adopted: dict[str, Any] | None = field(default=None, repr=False)
    subdomain: str = ""
    host: str = ""
    further_ports: dict[str, int] = field(default_factory=dict)
    network: str = ""


@dataclass(frozen=True)
class ContainerSpec:
    """Everything `docker run` would be told. Engines translate it; nobody else builds one.

    `volumes` maps names to paths in the container. Of the `options`, volumes, ports, labels and security
    options are in fields of their own, with dockmgr's among them.

    Without a `network` it is in the engine's own. With `raw`, the document of an adopted container (see
    `containers.adoption`), all but name, image, labels and environment is what that says; `host_port` is
    there the one to ask for where the engine would choose.
    """

    name: str
    image: str
    labels: dict[str, str]
    env: dict[str, str] = field(repr=False)
    nano_cpus: int = 0
    memory: int = 0
    pids_limit: int | None = DEFAULT_PIDS
    container_port: int = 8080
    bind_address: str = "127.0.0.1"
    host_port: int = 0
    further_ports: dict[str, int] = field(default_factory=dict)
    volumes: dict[str, str] = field(default_factory=dict)
    stop_timeout: int = 10
    restart_policy: str = "unless-stopped"
    security_opt: tuple[str, ...] = (NO_NEW_PRIVILEGES,)
    options: Options = NO_OPTIONS
    network: str = ""
    raw: dict[str, Any] | None = field(default=None, repr=False)
    former_hash: str = ""  # by which an earlier release knew containers of these settings

    @property
    def ports(self) -> dict[str, int]:
        """Ports of the container, such as 8080/tcp, with the host's they are published on."""
        return {f"{self.container_port}/tcp": self.host_port, **self.further_ports}


def container_name(customer_id: str) -> str:
    return f"{_PREFIX}{customer_id}"


def customer_named(container: str) -> str:
    """The customer whose container would have this name; empty when nobody's would."""
    return container.removeprefix(_PREFIX) if container.startswith(_PREFIX) else ""


def next_name(container: str) -> str:
    """What the container that is to replace this one is called until it is proven."""
    return f"{container}{_NEXT}"


def previous_name(container: str) -> str:
    """What this container is called while it waits aside for the way back."""
    return f"{container}{_PREVIOUS}"


def dead_name(container: str, identity: str) -> str:
    """What this container is called once its engine could not remove it, so that another one has its name."""
    mark = f"{_DEAD}{short_id(identity)}"
    return container if container.endswith(mark) else f"{container}{mark}"


def derived_from(container: str) -> str:
    """The name that `next_name` or `previous_name` would have made this one from; else empty."""
    for suffix in (_NEXT, _PREVIOUS):
        if container.endswith(suffix):
            return container.removesuffix(suffix)
    return ""


def volume_name(customer_id: str, name: str = DATA) -> str:
    """No name has a hyphen, so that what follows the last one is the name and no part of the customer's."""
    return f"{_PREFIX}{customer_id}-{name}"


def all_volumes(data_path: str | None, others: Mapping[str, str]) -> dict[str, str]:
    """Paths by short name: the plan's `data_path` is the volume called data."""
    return {**({DATA: option_words.shortest(data_path)} if data_path else {}), **others}


def named_volumes(customer_id: str, volumes: Mapping[str, str]) -> dict[str, str]:
    """Paths by the names the volumes have on the engine."""
    return {volume_name(customer_id, name): path for name, path in volumes.items()}


def labels_for(customer_id: str, plan: str, expires_at: str | None = None) -> dict[str, str]:
    """Labels every object of a customer carries on the engine (container, volume, network)."""
    labels = {MANAGED_LABEL: "true", CUSTOMER_LABEL: customer_id, PLAN_LABEL: plan}
    if expires_at:
        labels[EXPIRES_LABEL] = expires_at
    return labels


def is_managed(labels: Mapping[str, str], installation: str = "") -> bool:
    """Whether dockmgr made the object that carries these labels; with an `installation`, that one."""
    return labels.get(MANAGED_LABEL) == "true" and not is_made_elsewhere(labels, installation)


def is_made_elsewhere(labels: Mapping[str, str], installation: str) -> bool:
    """Whether another installation made what carries these labels. Older releases did not say which."""
    return bool(installation) and labels.get(INSTALLATION_LABEL, installation) != installation


def operation_of(labels: Mapping[str, str]) -> UUID | None:
    """Which operation made the object that carries these labels, if they say so."""
    try:
        return UUID(labels.get(OPERATION_LABEL, ""))
    except ValueError:
        return None


def is_outdated(spec: ContainerSpec, labels: Mapping[str, str]) -> bool:
    """Whether the container with these labels was made from other settings than the spec's.

    An adopted one that was not replaced yet was made from none of ours.
    """
    untouched = spec.raw is not None and SPEC_LABEL not in labels
    known = {spec.labels.get(SPEC_LABEL), spec.former_hash or None} - {None}
    return not untouched and labels.get(SPEC_LABEL) not in known


def build(plan: PlanSpec, instance: InstanceSpec, key: bytes = b"") -> ContainerSpec:
    """The container this instance should have, rendered from the database alone.

    The customer's environment wins over the plan's. The spec's own hash is among its labels, so
    drift between database and engine shows in one comparison; without the `key`, nobody can try
    guesses at the environment's values against it. An adopted container takes its image
    from the plan, where it has none of its own, and nothing else.
    """
    spec = _adopted(plan, instance) if instance.adopted is not None else _planned(plan, instance)
    former = spec_hash(spec, key, of_all=True) if OF_NO_CONTAINER & spec.options.document().keys() else ""
    return replace(spec, labels={**spec.labels, SPEC_LABEL: spec_hash(spec, key)}, former_hash=former)


def _adopted(plan: PlanSpec, instance: InstanceSpec) -> ContainerSpec:
    document = instance.adopted or {}
    return ContainerSpec(
        name=instance.container,
        image=instance.image or plan.image,
        labels=labels_for(instance.customer_id, plan.name, instance.expires_at),
        env=dict(instance.env),
        container_port=document.get("Port", 0),
        host_port=instance.port if _is_engines_choice(document) else 0,
        raw=document,
    )


def _is_engines_choice(document: dict[str, Any]) -> bool:
    """Whether the host's port that health is asked at is one the engine chose."""
    port = document.get("Port")
    return bool(port and document.get("HostConfig")) and adoption.port_changes(document, int(port or 0))


def _planned(plan: PlanSpec, instance: InstanceSpec) -> ContainerSpec:
    known = words_of(instance.customer_id, instance.subdomain, plan.name, instance.host, instance.port)
    options = hardened(plan.options.filled(known), frozenset(plan.volumes.values()))
    given = {name: placeholders.fill(value, known) for name, value in plan.env.items()}
    return ContainerSpec(
        name=container_name(instance.customer_id),
        image=instance.image or plan.image,
        labels={**options.labels, **labels_for(instance.customer_id, plan.name, instance.expires_at)},
        env={**given, **instance.env},
        nano_cpus=round(plan.cpus * 1_000_000_000),
        memory=plan.memory,
        pids_limit=plan.pids or DEFAULT_PIDS,
        container_port=plan.container_port,
        bind_address=instance.bind_address,
        host_port=instance.port,
        further_ports={port: instance.further_ports.get(port, 0) for port in options.ports},
        volumes=named_volumes(instance.customer_id, plan.volumes),
        stop_timeout=plan.stop_timeout,
        security_opt=_security(options.security_opt),
        options=options,
        network=instance.network,
    )


def words_of(customer_id: str, subdomain: str, plan: str, host: str, port: int) -> dict[str, str]:
    """What the words in braces stand for."""
    return dict(zip(placeholders.KNOWN, (customer_id, subdomain, plan, host, str(port)), strict=True))


def _security(wanted: tuple[str, ...]) -> tuple[str, ...]:
    """A container gains no privileges unless the plan says so."""
    others = [option for option in wanted if not option.startswith(NO_NEW_PRIVILEGES)]
    allowed = f"{NO_NEW_PRIVILEGES}=false" in wanted
    return tuple(others if allowed else [NO_NEW_PRIVILEGES, *others])


def spec_hash(spec: ContainerSpec, key: bytes = b"", *, of_all: bool = False) -> str:
    """A short keyed digest of the spec without its own hash label; equal specs have equal digests.

    With `of_all` it is that of an earlier release, which changed with what no container has.
    """
    options, others = spec.options.document(), frozenset() if of_all else OF_NO_CONTAINER
    content = asdict(replace(spec, options=NO_OPTIONS))
    del content["former_hash"]
    content["options"] = {word: said for word, said in options.items() if word not in others}
    content["labels"] = {k: v for k, v in spec.labels.items() if k != SPEC_LABEL}
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hmac.digest(key, canonical.encode(), "sha256").hex()[:16]
