"""Words for operators: where an engine is and why it does not answer, free of credentials."""

from __future__ import annotations

import errno
import re
import socket
from urllib.parse import urlsplit

import urllib3

from instances.lib.causes import causes
from instances.lib.log_lines import for_terminal

_NO_SUCH_NAME = (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME))
_LONGEST = 500
_PAGE = 8192  # characters
_TAG = re.compile(r"</?[a-zA-Z!][^<>]{0,200}>")
_USED_UP = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.EADDRNOTAVAIL)


def without_credentials(url: str) -> str:
    """Where an engine is; of an address that can't be read its kind alone."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return f"{url.partition('://')[0]}://…"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def reason(error: BaseException) -> str:
    """The innermost cause in words; the outer layers quote addresses and object identities."""
    chain = list(causes(error))
    words = [cause.strerror for cause in chain if isinstance(cause, OSError) and cause.strerror]
    said = [str(told) for cause in chain if (told := getattr(cause, "explanation", None))]
    if words or said:
        return brief((words or said)[-1])
    if isinstance(chain[-1], urllib3.exceptions.SSLError):
        return brief(str(chain[-1]))
    late = any(isinstance(cause, TimeoutError | urllib3.exceptions.TimeoutError) for cause in chain)
    return "it did not answer in time." if late else brief(type(error).__name__)


def is_used_up(error: BaseException) -> bool:
    """Whether it failed because this machine has no sockets, memory or ports left."""
    return any(isinstance(cause, OSError) and cause.errno in _USED_UP for cause in causes(error))


def no_address(error: BaseException) -> str:
    """That there is no machine of that name; empty where the failure is another one."""
    unknown = any(isinstance(c, socket.gaierror) and c.errno in _NO_SUCH_NAME for c in causes(error))
    return "there is no machine of that name" if unknown else ""


def brief(text: str) -> str:
    """One line of bounded length that ends like a sentence, of a page what is to be read on it.

    It moves no terminal, whoever said it.
    """
    line = for_terminal(" ".join(_TAG.sub(" ", text[:_PAGE]).split()))
    return f"{line[:_LONGEST].rstrip('.')}."
