"""How a container's options differ from its spec's, word by word. Pure.

Both sides are mappings of the words of `Options`: what a spec asks for, with what its image says where it is
silent, and what an engine told of a container.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from instances.containers.options import OF_NO_CONTAINER, Options
from instances.containers.spec import ContainerSpec

Told = Mapping[str, Any]

# What an image says where the plan is silent.
OF_IMAGE = ("command", "entrypoint", "user", "working_dir", "stop_signal")
# Compared elsewhere, with what dockmgr adds of its own.
ELSEWHERE = frozenset({"volumes", "labels", "ports", "cap_add", "security_opt"})
STOP = "stop_timeout"  # of the plan, by which an engine that shuts down waits as well
COMPARED = (*(word for word in Options.model_fields if word not in ELSEWHERE | OF_NO_CONTAINER), STOP)


def wanted(spec: ContainerSpec, image: Told | None) -> dict[str, Any]:
    """What the container should have; without the image, nothing where the image would speak."""
    options = spec.options
    said = {word: getattr(options, word) for word in COMPARED if word != STOP}
    told = {"read_only": bool(options.read_only), STOP: spec.stop_timeout}
    return {**said, **told, **_commands(options, image)}


def _commands(options: Options, image: Told | None) -> dict[str, Any]:
    """An entrypoint of its own leaves a container without the image's command."""
    said = {word: getattr(options, word) for word in OF_IMAGE}
    absent = {word for word, value in said.items() if value in (None, "")}
    silent = {word: None if image is None else image.get(word) for word in absent}
    if options.entrypoint is not None and options.command is None:
        silent["command"] = ()
    return {**said, **silent}


def differing(spec: ContainerSpec, found: Told, image: Told | None) -> Iterator[tuple[str, bool]]:
    """Each word, and whether the container has what it should."""
    asked = wanted(spec, image)
    for word in COMPARED:
        if word in found and asked[word] is not None:
            yield word, _same(word, asked[word], found[word])


def _same(word: str, asked: Any, has: Any) -> bool:
    if word == "stop_signal":
        return _signal(asked) == _signal(has)
    if word == "logging":  # an engine may add options of its own, and Podman tells none
        found = asked.options if has.options is None else has.options
        return bool(asked.driver == has.driver and asked.options.items() <= found.items())
    if word == "ulimits":  # an engine may add some of its own
        return all(has.get(name) == limit for name, limit in asked.items())
    return bool(asked == has)


def _signal(name: str) -> str:
    """The usual one is said in several ways, or not at all."""
    return "" if name in ("SIGTERM", "TERM", "15") else name
