"""How a container's options differ from its spec's, word by word. Pure.

Both sides are mappings of the words of `Options`: what a spec asks for, with what its image says where it is
silent, and what an engine told of a container.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from signal import Signals
from typing import Any

from instances.containers.options import OF_NO_CONTAINER, Logging, Options
from instances.containers.spec import ContainerSpec

Told = Mapping[str, Any]

# What an image says where the plan is silent.
OF_IMAGE = ("command", "entrypoint", "user", "working_dir", "stop_signal")
# Compared elsewhere, with what dockmgr adds of its own.
ELSEWHERE = frozenset({"volumes", "labels", "ports", "cap_add", "security_opt"})
_PODMANS_MARK = "tmpcopyup"
_PODMANS_TMPFS = frozenset({_PODMANS_MARK, "rw", "rprivate", "nosuid", "nodev"})
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


def all_told(found: Told) -> bool:
    """Whether an engine tells all there is to compare; Podman keeps sysctls, and more, to itself."""
    return "sysctls" in found


def _same(word: str, asked: Any, has: Any) -> bool:
    return _ALIKE[word](asked, has) if word in _ALIKE else bool(asked == has)


def _same_log(asked: Logging, has: Logging) -> bool:
    """An engine may add options of its own, and Podman tells none."""
    told: Mapping[str, str] | None = has.options
    found = asked.options if told is None else told
    return asked.driver == has.driver and asked.options.items() <= found.items()


def _same_mounts(asked: Mapping[str, str], has: Mapping[str, str]) -> bool:
    return asked.keys() == has.keys() and all(_same_tmpfs(asked[path], has[path]) for path in asked)


def _same_devices(asked: tuple[str, ...], has: tuple[str, ...]) -> bool:
    """Podman does not tell what may be done with one."""
    bare = tuple(device.rpartition(":")[0] for device in asked)
    return has in (asked, bare)


def _same_tmpfs(asked: str, has: str) -> bool:
    """Podman adds options of its own, and the mark of that is among them."""
    said, found = set(filter(None, asked.split(","))), set(filter(None, has.split(",")))
    added = _PODMANS_TMPFS if _PODMANS_MARK in found else frozenset()
    return said <= found and found - said <= added


def _signal(name: str) -> str:
    """The usual one is said in several ways, or not at all; Podman tells numbers."""
    if name.isdecimal():
        name = next((known.name for known in Signals if known == int(name)), name)
    name = name.removeprefix("SIG")
    return "" if name == "TERM" else name


# How what is asked for and what an engine tells compare, where that is not by being equal.
_ALIKE: Mapping[str, Callable[[Any, Any], bool]] = {
    "stop_signal": lambda asked, has: _signal(asked) == _signal(has),
    "tmpfs": _same_mounts,
    "devices": _same_devices,
    "logging": _same_log,
    "ulimits": lambda asked, has: asked.items() <= has.items(),  # an engine may add some of its own
}
