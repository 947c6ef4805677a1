"""Does an instance match what the database says it should be, and does it answer: VALIDATION."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from django.conf import settings

from instances.checks import Outside, engine_address, observe, requests_for
from instances.engine.port import ContainerFacts
from instances.errors import DockmgrError, EngineUnreachable
from instances.models import Instance
from instances.probe import Address
from instances.reply import Expect, Outcome, sentence
from instances.spec import ContainerSpec


@dataclass(frozen=True)
class Finding:
    """One check's result. `code` names what was looked at; `message` says what was found."""

    code: str
    ok: bool
    message: str


@dataclass(frozen=True)
class Validation:
    """All findings; valid when none of them is bad."""

    findings: list[Finding] = field(default_factory=list)

    @property
    def valid(self) -> bool:
        return all(finding.ok for finding in self.findings)

    @property
    def errors(self) -> list[dict[str, str]]:
        return [{"code": f.code, "message": f.message} for f in self.findings if not f.ok]

    def document(self) -> dict[str, Any]:
        """VALIDATION of the public contract."""
        return {
            "valid": self.valid,
            "errors": self.errors,
            "warnings": [],
            "checks": [
                {"name": found["code"], "ok": found["ok"], "message": found["message"]}
                for found in map(asdict, self.findings)
            ],
        }


def drift(spec: ContainerSpec, facts: ContainerFacts, image_id: str) -> Iterator[Finding]:
    """Compare a container with its spec, field by field. Pure; never shows a value of the environment."""
    wanted_ports = {spec.container_port: (spec.bind_address, spec.host_port)}
    wanted_volumes = {spec.volume: spec.data_path} if spec.volume else {}
    pairs: list[tuple[str, object, object]] = [
        ("image", image_id or facts.image_id, facts.image_id),
        ("cpus", spec.nano_cpus, facts.nano_cpus),
        ("memory", spec.memory, facts.memory),
        ("pids", spec.pids_limit, facts.pids_limit),
        ("restart_policy", spec.restart_policy, facts.restart_policy),
        ("ports", wanted_ports, facts.ports),
        ("volumes", wanted_volumes, {name: facts.volumes.get(name) for name in wanted_volumes}),
        ("labels", spec.labels, {name: facts.labels.get(name) for name in spec.labels}),
        ("security_opt", set(spec.security_opt), set(facts.security_opt)),
        ("privileged", False, facts.privileged),
    ]
    for code, wanted, found in pairs:
        yield Finding(code, wanted == found, _compared(wanted, found))
    differing = sorted(name for name in spec.env if facts.env.get(name) != spec.env[name])
    text = f"differs in {', '.join(differing)}" if differing else "as it should be"
    yield Finding("environment", not differing, text)


def _compared(wanted: object, found: object) -> str:
    return "as it should be" if wanted == found else f"should be {wanted}, is {found}"


def validate(instance: Instance, outside: Outside) -> Validation:
    """Look at configuration, container and health; changes nothing."""
    findings = [*_configuration(instance), *_container(instance, outside), _health(instance, outside)]
    if instance.plan.public_url:
        findings.append(_public(instance, outside))
    return Validation(findings)


def _configuration(instance: Instance) -> Iterator[Finding]:
    given = {**instance.plan.env, **instance.env}
    absent = [name for name in instance.plan.required_env if not given.get(name)]
    text = f"lacks {', '.join(absent)}" if absent else "everything required is there"
    yield Finding("required_env", not absent, text)


def _container(instance: Instance, outside: Outside) -> list[Finding]:
    engine = outside.engines.at(engine_address(instance.host))
    try:
        facts = engine.inspect(instance.container_name)
    except EngineUnreachable as error:
        return [Finding("engine", False, str(error))]
    except DockmgrError as error:
        return [Finding("container", False, str(error))]
    if facts is None:
        return [Finding("container", False, sentence("missing"))]
    running = Finding("container", facts.state == "running", f"is {facts.state}")
    return [running, *drift(instance.spec(), facts, instance.image_id)]


def _health(instance: Instance, outside: Outside) -> Finding:
    [request] = requests_for([instance], outside.engines)
    seen = observe(request, outside, settings.PROBE_TIMEOUT).seen
    return Finding("health", seen.outcome is Outcome.OK, seen.error or f"answers with {seen.http_status}")


def _public(instance: Instance, outside: Outside) -> Finding:
    url = instance.access_url.rstrip("/") + instance.plan.health_path
    result = outside.probe(Address(url, Expect(instance.plan.health_expect)), settings.PROBE_TIMEOUT)
    text = result.error or f"{url} answers with {result.http_status}"
    return Finding("public_url", result.outcome is Outcome.OK, text)
