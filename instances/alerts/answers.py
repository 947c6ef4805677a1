"""Overhears what services answer to Apprise, which keeps it to itself, and bounds how much of it is read."""

from __future__ import annotations

import json
import re
import smtplib
from collections.abc import Callable
from contextlib import closing
from contextvars import ContextVar
from functools import wraps
from typing import IO, Any

import requests
from requests.adapters import HTTPAdapter

from instances.alerts.delivery_rules import NO_ANSWER_AT_ALL, Answer
from instances.alerts.refusals import SERVICES, Code, refusal_in
from instances.http.client import code_of

_WORD = re.compile("[a-z_]{1,60}")
_SHOWN = re.compile("[A-Za-z0-9_-]{1,40}")
_MOST_READ = 64 * 1024  # bytes
MOST_TAKEN, _AT_ONCE = 4 * 1024 * 1024, 64 * 1024  # bytes that a plugin gets, whatever a service sends
_listener: ContextVar[Callable[[Any], None] | None] = ContextVar("listener", default=None)


def hear(scheme: str) -> list[Answer]:
    """The answers to all that is asked on this thread from now on, as they come, by URLs of this scheme.

    No more than MOST_TAKEN bytes of any are read.
    """
    answers: list[Answer] = []
    place = SERVICES.get(scheme.lower())
    _listener.set(lambda answer: answers.append(_read(answer, place)))
    return answers


def _answer(
    send: Callable[..., Any], adapter: Any, request: Any, stream: bool = False, *given: Any, **named: Any
) -> requests.Response:
    """An answer with so much of its body, whatever `stream` says; the library would read on to its end."""
    answer: requests.Response = send(adapter, request, True, *given, **named)
    body = bytearray()
    with closing(answer):
        for part in answer.iter_content(_AT_ONCE):
            body += part
            if len(body) >= MOST_TAKEN:
                break
    answer._content, answer._content_consumed = bytes(body), True  # type: ignore[attr-defined]
    return answer


def _reply(getreply: Callable[..., tuple[int, bytes]], mail: Any) -> tuple[int, bytes]:
    """A mail server's reply, of so many bytes."""
    lines = mail.file or mail.sock.makefile("rb")
    mail.file = _Bounded(lines)
    try:
        return getreply(mail)
    finally:
        mail.file = mail.file and lines  # a connection that is over has none


def _greeting(connect: Callable[..., tuple[int, bytes]], *given: Any, **named: Any) -> tuple[int, bytes]:
    """The first reply of a mail server, which is heard once more; or why there is none."""
    return connect(*given, **named)


class _Bounded:
    def __init__(self, lines: IO[bytes]) -> None:
        self._lines, self._left = lines, MOST_TAKEN
        self.close = lines.close

    def readline(self, most: int) -> bytes:
        line = self._lines.readline(most)
        self._left -= len(line)
        if self._left < 0:
            raise OSError("The reply has no end.")
        return line


def _overheard(ask: Callable[..., Any], bounded: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(ask)
    def asked(*given: Any, **named: Any) -> Any:
        listener = _listener.get()
        if listener is None:
            return ask(*given, **named)
        try:
            answer = bounded(ask, *given, **named)
        except Exception as error:
            listener(error)
            raise
        listener(answer)
        return answer

    return asked


# Where all answers pass, whatever module of a plugin asks; nothing changes for who does not listen.
for _library, _method, _with_bounds in (
    (HTTPAdapter, "send", _answer),  # beneath sessions, which read a redirect to its end
    (smtplib.SMTP, "getreply", _reply),
    (smtplib.SMTP, "connect", _greeting),
):
    setattr(_library, _method, _overheard(getattr(_library, _method), _with_bounds))


def _read(answer: Any, place: Code | None) -> Answer:
    if isinstance(answer, Exception):
        return Answer(NO_ANSWER_AT_ALL, trouble=_trouble(answer))
    if isinstance(answer, tuple):
        return Answer(answer[0], is_mail=True)
    document = _document(answer.content) if 200 <= answer.status_code < 300 else None
    refused = refusal_in(document, place) if place else None
    return Answer(
        int(answer.status_code),
        answer.headers.get("Retry-After"),
        refusal=None if refused is None else _shown(refused),
        may_pass=place is not None and refused in place.passing,
        word=_word(document),
    )


def _trouble(error: Exception) -> str:
    """Why there was no answer; empty where that is not known."""
    if isinstance(error, smtplib.SMTPServerDisconnected):
        return "closed"
    return (
        code_of(error) if isinstance(error, OSError) and not isinstance(error, smtplib.SMTPException) else ""
    )


def _document(body: bytes) -> object:
    try:
        return json.loads(body[:_MOST_READ])
    except (ValueError, RecursionError):
        return None


def _shown(refusal: int | str) -> str:
    """A code as people may read it; empty for what says nothing."""
    text = "" if isinstance(refusal, bool) else str(refusal)
    return text if _SHOWN.fullmatch(text) else ""


def _word(document: object) -> str:
    said = document.get("error") if isinstance(document, dict) else None
    return said if isinstance(said, str) and _WORD.fullmatch(said) else ""
