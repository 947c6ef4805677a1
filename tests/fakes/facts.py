"""Facts of images and new containers, as an engine would tell them."""

from __future__ import annotations

from dataclasses import replace

from instances.containers.facts import ContainerFacts, ImageFacts
from instances.containers.spec import ContainerSpec


def image_facts(name: str, **changes: object) -> ImageFacts:
    """An image whose id is made from `name`, so that tests can tell images apart."""
    facts = ImageFacts(
        f"sha256:{name}",
        labels={},
        volumes=(),
        exposed_ports=(8080,),
        architecture="amd64",
        digests=(f"registry.example.com/agent@sha256:{name}",),
    )
    return replace(facts, **changes)  # type: ignore[arg-type]


def created_facts(identity: str, spec: ContainerSpec, image: ImageFacts) -> ContainerFacts:
    return ContainerFacts(
        id=identity, name=spec.name, state="created", exit_code=None, oom_killed=False,
        restart_count=0, started_at=None, image_id=image.id, image_ref=spec.image,
        labels={**image.labels, **spec.labels}, env={**image.env, **spec.env}, nano_cpus=spec.nano_cpus,
        memory=spec.memory, pids_limit=spec.pids_limit, restart_policy=spec.restart_policy,
        volumes={spec.volume: spec.data_path} if spec.volume and spec.data_path else {},
        ports={spec.container_port: (spec.bind_address, spec.host_port)}, privileged=False,
        security_opt=spec.security_opt,
    )  # fmt: skip
