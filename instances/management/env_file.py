"""Variables from the command line and from a file, as `docker run` takes them. No error shows a value."""

from __future__ import annotations

import json
import os
from typing import Any

from instances.errors import RequestError
from instances.lib import exact_json, validators
from instances.lib.causes import unreadable
from instances.management import streams

_MARK = b"\xef\xbb\xbf"


def environment(pairs: list[str], file: str | None) -> dict[str, str]:
    """Variables from `--env` and `--env-file`; the former win."""
    given = _from_file(file) if file else {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        if not sign:
            raise RequestError("Environment variables are given as NAME=value.")
        given[name.strip()] = value
    return given


def _from_file(file: str) -> dict[str, str]:
    try:
        content = streams.content(file)
    except OSError as error:
        raise RequestError(f"The environment file can't be read: {unreadable(error)}.") from None
    content = content.removeprefix(_MARK)
    if file.endswith(".json") or (file == "-" and content.lstrip()[:1] == b"{"):
        return _from_json(content)
    lines = content.split(b"\n")
    found = (_from_line(line.removesuffix(b"\r"), number) for number, line in enumerate(lines, 1))
    return dict(filter(None, found))


def _from_line(line: bytes, number: int) -> tuple[str, str] | None:
    """A variable; None for an empty line, a comment, or a name alone that this environment does not have."""
    try:
        text = line.decode().lstrip()
    except UnicodeDecodeError:
        raise _refused(number, "is not UTF-8") from None
    if not text or text.startswith("#"):
        return None
    name, sign, value = text.partition("=")
    if not validators.ENV_NAME.fullmatch(name):
        raise _refused(number, "does not begin with a variable's name")
    if "\0" in value:
        raise _refused(number, "has a character that no variable can have")
    if not sign:
        return (name, os.environ[name]) if name in os.environ else None
    return name, value


def _refused(number: int, what: str) -> RequestError:
    return RequestError(f"The environment file is refused: line {number} {what}.")


def _from_json(content: bytes) -> dict[str, str]:
    try:
        document: Any = exact_json.loads(content)
    except exact_json.TwiceError as error:
        raise RequestError(f"The environment file is refused: {error}.") from None
    except ValueError as error:
        where = f" in line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise RequestError(f"The environment file is not JSON: there is an error{where}.") from None
    if not isinstance(document, dict):
        raise RequestError("The environment file must hold one JSON object of names and texts.")
    return validators.environment(document)
