"""Reading YAML so that texts stay as they were written, and no file is a trap. Pure.

YAML 1.1 makes `yes` a truth value, `012` ten, `1.10` the number 1.1 and `22:00` a count of minutes. Here a
value is a number or a truth value only where writing that gives the same word; a name is always a text.
Whoever wants a number of a text, such as `1.50`, gets it where the value is checked.
"""

from __future__ import annotations

from typing import Any

import yaml

from instances.fleet.entry import shown

MAX_CHARACTERS = 1024 * 1024
MAX_NODES = 100_000
_TAG = "tag:yaml.org,2002:"
_KEPT = (f"{_TAG}bool", f"{_TAG}int", f"{_TAG}float", f"{_TAG}null", f"{_TAG}merge")
_TRUTHS = ("true", "false", "True", "False", "TRUE", "FALSE")
# YAML trips over tags that do not fit their value, such as `!!bool x`, with whatever error that makes.
UNREADABLE = (yaml.YAMLError, ValueError, AttributeError, LookupError, RecursionError)


class Trap(ValueError):
    """What no file may be, whether or not it is YAML, in words that follow `refused:`."""


class _Loader(yaml.SafeLoader):
    """YAML's own rules say which words may be numbers, truth values or nothing; the plain ones are."""

    yaml_implicit_resolvers = {
        first: [(tag, form) for tag, form in rules if tag in _KEPT]
        for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> str:
        tag = str(super().resolve(kind, value, implicit))  # type: ignore[no-untyped-call]
        if kind is not yaml.ScalarNode or not implicit[0]:
            return tag
        return tag if _is_plain(tag, value) else f"{_TAG}str"

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        if isinstance(node, yaml.MappingNode):  # a tag may call anything a mapping; YAML refuses it
            self.flatten_mapping(node)
            for name, _ in node.value:
                if isinstance(name, yaml.ScalarNode):
                    name.tag = f"{_TAG}str"
        return dict(super().construct_mapping(node, deep))


def _is_plain(tag: str, value: str) -> bool:
    """Whether the word is the one way to write what the tag makes of it."""
    match tag.removeprefix(_TAG):
        case "bool":
            return value in _TRUTHS
        case "int":
            return value.removeprefix("-").isdecimal() and str(int(value)) == value
        case "float":
            return _number(value) == value
        case _:
            return True


def _number(value: str) -> str:
    try:
        return repr(float(value))
    except ValueError:  # one of YAML's own forms, such as `.inf`
        return ""


def read(text: str) -> Any:
    """The document in `text`. Raises Trap, or one of UNREADABLE."""
    _refuse_traps(text)
    return yaml.load(text, Loader=_Loader)  # noqa: S506 a SafeLoader


def _refuse_traps(text: str) -> None:
    """Aliases may repeat parts, but not grow a small file without end; no key may hide another.

    Raises Trap.
    """
    if len(text) > MAX_CHARACTERS:
        raise Trap(f"it has {len(text):,} characters, and {MAX_CHARACTERS:,} are the most")
    sizes: dict[int, int] = {}

    def size(node: yaml.Node) -> int:
        if id(node) not in sizes:
            sizes[id(node)] = MAX_NODES  # an alias of itself never ends
            parts = node.value if isinstance(node, yaml.CollectionNode) else []
            _refuse_double_keys(node)
            flat = (part for pair in parts for part in (pair if isinstance(pair, tuple) else (pair,)))
            sizes[id(node)] = 1 + sum(map(size, flat))
        return sizes[id(node)]

    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if root is not None and size(root) > MAX_NODES:
        raise Trap(f"it has more than {MAX_NODES:,} parts, with all that its aliases repeat")


def _refuse_double_keys(node: yaml.Node) -> None:
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise Trap(f"{shown(key.value)} stands twice, again in line {key.start_mark.line + 1}")
            seen.add(key.value)
