"""What a failure came from, and what that means in words of ours."""

from __future__ import annotations

import re
from collections.abc import Iterator


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what it came from, outermost first, each once.

    An error that several threads raise, or that is raised anew while another is handled, may come from
    itself.
    """
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


# What stood in the way to a server that said nothing, by what sockets and clients say of it.
_NO_WAY = {
    "connection refused": "nothing listens there",
    r"(?:socket|connecting to) .*no such file or directory": "nothing listens there",
    "resolve host": "the name of its host is not known",
    "translate host name": "the name of its host is not known",
    "name or service not known": "the name of its host is not known",
    "no address associated with hostname": "the name of its host is not known",
    "temporary failure in name resolution": "the name of its host can't be looked up",
    "timeout": "it does not answer",
    "timed out": "it does not answer",
    "no route to host": "there is no way to its host",
    "network is unreachable": "there is no way to its host",
    "permission denied": "its socket may not be opened",
}


def way_lost(text: str) -> str:
    """Why a server was not reached, by what its client says; empty where that is not known."""
    lowered = text.lower()
    return next((reason for form, reason in _NO_WAY.items() if re.search(form, lowered)), "")


def unreadable(error: OSError | UnicodeError) -> str:
    """Why a file could not be read as text."""
    return str(error.strerror) if isinstance(error, OSError) else "it is not text"
