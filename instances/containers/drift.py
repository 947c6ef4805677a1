"""What a valid instance is: pure rules over values that others have fetched.

No text shows a value of an environment, only names.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from instances.containers import adoption, image_fit, left_over, networks, option_drift, replacement, timings
from instances.containers.facts import ContainerFacts, EngineFacts, ImageFacts
from instances.containers.image_names import LATEST, parts_of
from instances.containers.spec import SPEC_LABEL, ContainerSpec, PlanSpec, is_outdated
from instances.errors import RequestError
from instances.lib import validators

T = TypeVar("T")
RUNNING = "running"
AS_IT_SHOULD_BE = "as it should be"
_EXACTLY = 10_000  # of the thousand millions of a CPU: so the kernel divides it, and Podman tells it


@dataclass(frozen=True)
class Finding:
    """One check's result: `name` says what was looked at, `message` what was found.

    `code` says what is wrong where the name does not.
    """

    name: str
    ok: bool
    message: str
    code: str = ""

    @property
    def error_code(self) -> str:
        return self.code or self.name


@dataclass(frozen=True)
class Note:
    """Something worth knowing that does not make an instance invalid."""

    code: str
    message: str


@dataclass(frozen=True)
class Configuration:
    """What the database says of an instance, as far as rules judge it. Times in seconds."""

    customer_id: str
    subdomain: str
    image: str
    plan: PlanSpec
    env: frozenset[str]  # names whose value is not empty
    required_env: tuple[str, ...]
    start_grace: float
    public_url: str
    update_strategy: str


def configuration(config: Configuration, bounds: timings.Bounds) -> Iterator[Finding]:
    """What can be said without asking anything outside the database."""
    yield _well_formed(
        "names", (validators.customer_id, config.customer_id), (validators.subdomain, config.subdomain)
    )
    yield _well_formed("image_reference", (validators.image_reference, config.image))
    impossible = list(timings.impossible(config.start_grace, config.plan.stop_timeout, bounds))
    yield _without("timings", impossible, "they can work")
    absent = [name for name in config.required_env if name not in config.env]
    text = f"lacks {', '.join(absent)}" if absent else "everything required is there"
    yield Finding("required_env", not absent, text)


def configuration_notes(config: Configuration) -> Iterator[Note]:
    plan = f"Plan {config.plan.name}"
    if not config.public_url:
        yield Note("public_url", f"{plan} has no public_url: whether customers get through is not known.")
    if _moves(config.image):
        yield Note(
            "image_tag", f"{config.image} names whatever is newest; a version or digest stays the same."
        )
    if config.update_strategy == "start_first" and runs_alone(config.plan):
        yield Note(
            "update_strategy",
            f"{plan} keeps data or has further ports, so updates stop the old container first all the same.",
        )


def runs_alone(plan: PlanSpec) -> bool:
    """Whether two containers of one customer can't run side by side: they would share data or ports."""
    return bool(plan.volumes or plan.options.ports)


def _well_formed(name: str, *pairs: tuple[Callable[[object], str], str]) -> Finding:
    try:
        for check, value in pairs:
            check(value)
    except RequestError as error:
        return Finding(name, False, str(error))
    return Finding(name, True, "well-formed")


def _without(name: str, problems: list[str], otherwise: str) -> Finding:
    return Finding(name, not problems, " ".join(problems) or otherwise)


def _moves(image: str) -> bool:
    """Whether a reference has no tag, or `latest`, and no digest."""
    _, tag, digest = parts_of(image)
    return bool(image) and not digest and tag in ("", LATEST)


def limits(plan: PlanSpec, engine: EngineFacts) -> Finding:
    """Whether the host is large enough for the plan."""
    problems = []
    if plan.cpus > engine.cpus:
        problems.append(f"Plan {plan.name} has {plan.cpus:g} CPUs, the host has {engine.cpus}.")
    if plan.memory > engine.memory:
        wanted, there = _sizes(plan.memory, engine.memory)
        problems.append(f"Plan {plan.name} has {wanted}, the host has {there}.")
    return _without("limits", problems, "the host is large enough")


def over_commitment(promised: int, engine: EngineFacts) -> Iterator[Note]:
    """`promised` is the memory, in bytes, of all instances on the host together."""
    if promised > engine.memory:
        taken, there = _sizes(promised, engine.memory)
        text = f"The host's instances may take {taken} together, the host has {there}."
        yield Note("memory", text)


def image_on_host(
    image: ImageFacts | None, plan: PlanSpec, engine: EngineFacts, kept: Collection[str] | None = None
) -> Finding:
    """Whether the host has the image, and the plan can run it; `kept` as for `image_rules.problems`."""
    if image is None:
        return Finding(
            "image_on_host", False, "The host does not have the image: a lost container can't be remade."
        )
    problems = list(image_fit.problems(image, plan, engine, kept))
    return _without("image_on_host", problems, "fits plan and host")


def image_notes(image: ImageFacts | None, plan: PlanSpec) -> Iterator[Note]:
    text = image_fit.exposed_elsewhere(image, plan) if image else ""
    if text:
        yield Note("exposed_port", text)


def drift(
    spec: ContainerSpec, facts: ContainerFacts, image_id: str, image: ImageFacts | None = None
) -> Iterator[Finding]:
    """Compare a container with its spec and recorded image, field by field.

    `image` is the one it was made from: without it, what the plan leaves to the image is not compared.
    """
    yield Finding("container", facts.state == RUNNING, f"is {facts.state}")
    yield _same("image", image_id or facts.image_id, facts.image_id)
    yield _same("cpus", spec.nano_cpus // _EXACTLY, facts.nano_cpus // _EXACTLY, _cpus)
    yield _same_size("memory", spec.memory, facts.memory)
    yield _same("pids", spec.pids_limit, facts.pids_limit, _processes)
    yield _same("restart_policy", spec.restart_policy, facts.restart_policy)
    ports = {inner: (spec.bind_address, port) for inner, port in spec.ports.items()}
    yield _same("ports", ports, facts.published, _published)
    yield _same("mounts", _volumes(spec.volumes), _mounts(facts), _listed)
    yield _entries("labels", {k: v for k, v in spec.labels.items() if k != SPEC_LABEL}, facts.labels)
    yield _network(spec.network, facts.network_mode)
    yield _same("security_opt", _options(spec.security_opt), _options(facts.security_opt), _listed)
    yield _same("privileges", list(spec.options.cap_add), _privileges(facts), _listed)
    yield environment(spec, facts)
    for word, same in option_drift.differing(spec, facts.options, image.options if image else None):
        yield Finding(word, same, AS_IT_SHOULD_BE if same else "is not what it should be")


def adopted_drift(
    spec: ContainerSpec, facts: ContainerFacts, described: dict[str, Any], image_id: str
) -> Iterator[Finding]:
    """Compare an adopted container, described by its engine, with what is kept of it; tells names only.

    Our labels are not looked for: it has none before it is replaced for the first time.
    """
    yield Finding("container", facts.state == RUNNING, f"is {facts.state}")
    yield _same("image", image_id or facts.image_id, facts.image_id)
    fields = adoption.drift(spec.raw or {}, described)
    yield Finding("adopted", not fields, f"differs in {_listed(fields)}" if fields else AS_IT_SHOULD_BE)
    yield environment(spec, facts)


def environment(spec: ContainerSpec, facts: ContainerFacts) -> Finding:
    """Whether every variable is there with its value."""
    return _entries("environment", spec.env, {**facts.added_env, **facts.env})


def drift_notes(spec: ContainerSpec, facts: ContainerFacts, image: ImageFacts | None) -> Iterator[Note]:
    """`image` is the one the container was made from: what it says of the environment is not extra."""
    extra = left_over.of_earlier_settings(spec, facts, image)
    for name, among in (extra | {"environment": left_over.variables(spec, facts, image)}).items():
        if among:
            yield Note(name, f"The container also has {_listed(among)} in its {name}.")
    if is_to_move(spec, facts):
        text = f"It is in the engine's own network; its next update moves it to {spec.network}."
        yield Note("network", text)
    if is_outdated(spec, facts.labels):
        text = "The container was made from earlier settings; it takes the new ones up when it is made anew."
        yield Note("spec", text)


def _same_size(name: str, wanted: int, found: int) -> Finding:
    if wanted == found:
        return Finding(name, True, AS_IT_SHOULD_BE)
    return Finding(name, False, "should be {}, is {}".format(*_sizes(wanted, found)))


def replacement_notes(document: dict[str, Any], facts: ContainerFacts) -> Iterator[Note]:
    """What a replacement of this adopted container would change."""
    yield from (Note("replacement", text) for text in replacement.warnings(document, facts.published))


def _same(name: str, wanted: T, found: T, show: Callable[[T], str] = str) -> Finding:
    if wanted == found:
        return Finding(name, True, AS_IT_SHOULD_BE)
    return Finding(name, False, f"should be {show(wanted)}, is {show(found)}")


def _entries(name: str, wanted: Mapping[str, str], found: Mapping[str, str]) -> Finding:
    """Whether all that is wanted is there with the same values; tells names only."""
    missing = sorted(wanted.keys() - found.keys())
    differing = sorted(key for key in wanted.keys() & found.keys() if wanted[key] != found[key])
    parts = (("lacks", missing), ("differs in", differing))
    texts = [f"{verb} {_listed(keys)}" for verb, keys in parts if keys]
    return Finding(name, not texts, "; ".join(texts) or AS_IT_SHOULD_BE)


def _network(wanted: str, mode: str) -> Finding:
    """A container from before customers had a bridge of their own is well where it is, for now."""
    if mode in (wanted, *networks.ENGINES_OWN):
        return Finding("network", True, AS_IT_SHOULD_BE)
    return Finding("network", False, f"should be {wanted or 'that of the engine'}, is {mode}")


def is_to_move(spec: ContainerSpec, facts: ContainerFacts) -> bool:
    """Whether the container was made before its host had a bridge for customers alone."""
    return spec.raw is None and bool(spec.network) and facts.network_mode in networks.ENGINES_OWN


def _volumes(paths: Mapping[str, str]) -> list[str]:
    return sorted(f"{name} at {path}" for name, path in paths.items())


def _mounts(facts: ContainerFacts) -> list[str]:
    return sorted([*_volumes(facts.volumes), *(f"something of the host at {path}" for path in facts.binds)])


def _privileges(facts: ContainerFacts) -> list[str]:
    added = sorted(name.removeprefix("CAP_") for name in facts.cap_add)
    return [*(["all of them"] if facts.privileged else []), *added]


def _options(options: Iterable[str]) -> list[str]:
    """Engines tell `no-new-privileges` with or without its value."""
    return sorted({option.removesuffix(":true").removesuffix("=true") for option in options})


def _published(ports: Mapping[str, tuple[str, int]]) -> str:
    told = sorted(ports.items(), key=lambda item: int(item[0].partition("/")[0]))
    return _listed(f"{inner.removesuffix('/tcp')} at {address}:{port}" for inner, (address, port) in told)


def _listed(words: Iterable[str]) -> str:
    return ", ".join(words) or "none"


def _cpus(told: int) -> str:
    return f"{told * _EXACTLY / 1e9:g} CPUs" if told else "without limit"


def _processes(most: int | None) -> str:
    return f"{most} processes" if most else "without limit"


def _sizes(one: int, other: int) -> tuple[str, str]:
    """Two sizes that differ, told so that they can be told apart."""
    told = _size(one), _size(other)
    return told if told[0] != told[1] else (f"{one:,} bytes", f"{other:,} bytes")


def _size(size: int) -> str:
    if not size:
        return "without limit"
    return f"{size / 1024**2:,.1f} MiB".replace(".0 MiB", " MiB")
