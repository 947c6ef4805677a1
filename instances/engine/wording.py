"""Words for operators: where an engine is and why it does not answer, free of credentials."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from urllib.parse import urlsplit

import urllib3

_LONGEST = 500
_USED_UP = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.EADDRNOTAVAIL)


def without_credentials(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def reason(error: BaseException) -> str:
    """The innermost cause in words; the outer layers quote addresses and object identities."""
    chain = list(causes(error))
    words = [cause.strerror for cause in chain if isinstance(cause, OSError) and cause.strerror]
    if words:
        return brief(words[-1])
    late = any(isinstance(cause, TimeoutError | urllib3.exceptions.TimeoutError) for cause in chain)
    return "it did not answer in time." if late else brief(type(error).__name__)


def is_used_up(error: BaseException) -> bool:
    """Whether it failed because this machine has no sockets, memory or ports left."""
    return any(isinstance(cause, OSError) and cause.errno in _USED_UP for cause in causes(error))


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what it came from, outermost first."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def brief(text: str) -> str:
    """One line of bounded length that ends like a sentence."""
    line = " ".join(text.split())
    return f"{line[:_LONGEST].rstrip('.')}."
