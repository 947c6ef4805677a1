"""How a command line is read: whole words, each option once; what is wrong with it is one sentence."""

from __future__ import annotations

import sys
from argparse import Action, ArgumentError, ArgumentParser
from collections.abc import Sequence
from typing import Any, NoReturn

from instances.management import streams
from instances.management.codes import WRONG


class Once(Action):
    """An option that says one thing: of two, one would be passed over."""

    given = False

    def __call__(
        self, parser: ArgumentParser, namespace: Any, values: Any, option: str | None = None
    ) -> None:
        if self.given:
            raise ArgumentError(self, "given more than once")
        self.given = True
        setattr(namespace, self.dest, values)


class Exact:
    """Makes a parser's errors what every error is: one sentence, code 2, and a document under --json."""

    def __init__(self, parser: ArgumentParser) -> None:
        self._parse = parser.parse_args
        self._words: Sequence[str] = ()
        parser.allow_abbrev = False  # half a word must not purge anybody's data
        parser.register("action", None, Once)
        parser.parse_args = self.parse_args  # type: ignore[method-assign, assignment]
        parser.error = self.error  # type: ignore[method-assign]

    def parse_args(self, args: Sequence[str], namespace: Any = None) -> Any:
        self._words = args
        return self._parse(args, namespace)

    def error(self, message: str) -> NoReturn:
        streams.refuse(f"{message[:1].upper()}{message[1:]}; see --help.", self._words)
        sys.exit(WRONG)
