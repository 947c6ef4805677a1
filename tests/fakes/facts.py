"""Facts of images and new containers, as an engine would tell them."""

from __future__ import annotations

from dataclasses import replace

from instances.containers import option_drift
from instances.containers.facts import ContainerFacts, ImageFacts
from instances.containers.spec import ContainerSpec
from instances.engine.option_payloads import told_by_image


def image_facts(name: str, **changes: object) -> ImageFacts:
    """An image whose id is made from `name`, so that tests can tell images apart."""
    facts = ImageFacts(
        f"sha256:{name}",
        labels={},
        volumes=(),
        exposed_ports=(8080,),
        architecture="amd64",
        options=told_by_image({}),
        digests=(f"registry.example.com/agent@sha256:{name}",),
    )
    return replace(facts, **changes)  # type: ignore[arg-type]


def created_facts(identity: str, spec: ContainerSpec, image: ImageFacts) -> ContainerFacts:
    return ContainerFacts(
        id=identity, name=spec.name, state="created", exit_code=None, oom_killed=False,
        restart_count=0, started_at=None, image_id=image.id, image_ref=spec.image,
        labels={**image.labels, **spec.labels}, env={**image.env, **spec.env}, nano_cpus=spec.nano_cpus,
        memory=spec.memory, pids_limit=spec.pids_limit, restart_policy=spec.restart_policy,
        volumes=dict(spec.volumes),
        ports={spec.container_port: (spec.bind_address, spec.host_port), **_ports(spec, "tcp")},
        udp_ports=_ports(spec, "udp"), privileged=False, security_opt=spec.security_opt,
        cap_add=spec.options.cap_add, options=option_drift.wanted(spec, image.options),
        network_mode=spec.network or "default",
    )  # fmt: skip


def _ports(spec: ContainerSpec, protocol: str) -> dict[int, tuple[str, int]]:
    return {
        int(port.partition("/")[0]): (spec.bind_address, number)
        for port, number in spec.further_ports.items()
        if port.endswith(protocol)
    }
