"""Who runs a command, as records name them: whom they say they are, or the account they have."""

from __future__ import annotations

import getpass
import re
import sys
from contextvars import ContextVar

from django.conf import settings

from instances.errors import RequestError

_NAME = re.compile(r"[\w.@+-]{1,60}")
_SAID: ContextVar[str] = ContextVar("said", default="")


def operator() -> str:
    """Who runs the command, as records name them."""
    return f"cli:{_SAID.get() or _account()}"


def say(given: str | None, *, recorded: bool) -> None:
    """Take the name of `--as`, else of DOCKMGR_AS; where everybody has the same account, ask for one.

    Raises RequestError when a command that is recorded has to have a name and gets none, or one of
    another form.
    """
    name = given or settings.OPERATOR
    if not name and recorded and settings.ASK_WHO:
        name = _answer()
        if not name:
            raise RequestError("Say who you are, for the record: --as NAME, or DOCKMGR_AS.")
    if name and not _NAME.fullmatch(name):
        raise RequestError("A name (--as, DOCKMGR_AS) has up to 60 letters, digits and the signs . @ + - _.")
    _SAID.set(name)


def _answer() -> str:
    if not sys.stdin.isatty():
        return ""
    sys.stderr.write("Who are you, for the record? ")
    sys.stderr.flush()
    return sys.stdin.readline().strip()


def _account() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a number without a name
        return "unknown"
