"""What a container has that neither its spec nor its image says: what was said once and taken back. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from instances.containers.facts import ContainerFacts, ImageFacts
from instances.containers.option_words import RESERVED_LABEL
from instances.containers.spec import ContainerSpec, is_outdated


def variables(spec: ContainerSpec, facts: ContainerFacts, image: ImageFacts | None) -> list[str]:
    """Names in its environment. Without the image nobody knows what was the image's, so nothing is extra."""
    return _extra(facts.env, spec.env, image.env if image else facts.env)


def labels(spec: ContainerSpec, facts: ContainerFacts, image: ImageFacts | None) -> list[str]:
    """Names of its labels but ours. Engines add some of their own: see `of_earlier_settings`."""
    found = _extra(facts.labels, spec.labels, image.labels if image else facts.labels)
    return [name for name in found if not name.startswith(RESERVED_LABEL)]


def ulimits(spec: ContainerSpec, facts: ContainerFacts) -> list[str]:
    """Names of limits that an engine may as well have added."""
    return _extra(facts.options.get("ulimits", {}), spec.options.ulimits, {})


def log_options(spec: ContainerSpec, facts: ContainerFacts) -> list[str]:
    """Names of options of its log that an engine may as well have added."""
    log, said = facts.options.get("logging"), spec.options.logging
    if log is None or log.driver != said.driver:
        return []
    return _extra(log.options or {}, said.options, {})


def of_earlier_settings(
    spec: ContainerSpec, facts: ContainerFacts, image: ImageFacts | None
) -> dict[str, list[str]]:
    """What was taken back, as far as anybody can tell: names by what they are among.

    A container that was made from these very settings has nothing of earlier ones. An adopted one has the
    variables that were noted of it, and no others.
    """
    if spec.raw is not None:
        return {"environment": variables(spec, facts, image)}
    if not is_outdated(spec, facts.labels):
        return {}
    return {
        "environment": variables(spec, facts, image),
        "labels": labels(spec, facts, image),
        "ulimits": ulimits(spec, facts),
        "logging": log_options(spec, facts),
    }


def _extra(found: Mapping[str, Any], said: Collection[str], given: Mapping[str, Any]) -> list[str]:
    return sorted(name for name in found.keys() - set(said) if found[name] != given.get(name))
