"""What services answer that Apprise keeps to itself: when to try again, and refusals inside an answer 200."""

from __future__ import annotations

import json
import re
import smtplib
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from functools import wraps
from typing import IO, Any

import requests

from instances.alerts.delivery_rules import NO_ANSWER_AT_ALL, Answer
from instances.http.client import code_of

EACH = "*"  # of a list


@dataclass(frozen=True)
class Code:
    """Where an answer 200 of a service says what became of the message, and what it says there.

    It took the message where one of the values is `well`, or none of them is `ill`. Others may pass.
    """

    path: tuple[str, ...]
    well: tuple[int | str, ...] = (0,)
    ill: tuple[int | str, ...] = ()
    passing: tuple[int | str, ...] = (-1, 411, 11232, 45009, 90030, 130101, 410100)  # busy, asked too often

    def refuses(self, value: object) -> bool | None:
        """None for what is no such value."""
        known = self.ill or self.well
        if type(value) not in {type(each) for each in known}:
            return None
        return (value in known) is bool(self.ill)


SERVICES = {
    "dingtalk": Code(("errcode",)),
    "wecombot": Code(("errcode",)),
    "feishu": Code(("code",)),
    "lark": Code(("code",)),
    "synology": Code(("error", "code")),
    "synologys": Code(("error", "code")),
    **dict.fromkeys(("vonage", "nexmo"), Code(("messages", EACH, "status"), ("0",), passing=("1", "5"))),
    "clicksend": Code(("data", "messages", EACH, "status"), ("SUCCESS",)),
    "msg91": Code(("type",), ill=("error",)),
    "seven": Code(("success",), ("100", 100)),
    "join": Code(("success",), ill=(False,)),
    "onesignal": Code(("id",), ill=("",)),
    "smtp2go": Code(("data", "succeeded"), ill=(0,)),
    "clickatell": Code(("messages", EACH, "accepted"), ill=(False,)),
    "atalk": Code(("SMSMessageData", "Recipients", EACH, "statusCode"), (100, 101, 102), passing=(500, 501)),
    "wxpusher": Code(("code",), (1000,), passing=(1008,)),
    "smsc": Code(("error_code",), passing=(4, 99)),
    "sfr": Code(("success",), ill=(False,)),
    "viber": Code(("status",), passing=(12,)),
    "voipms": Code(("status",), ("success",)),
    "wechat": Code(("errcode",)),
    **dict.fromkeys(("pushplus", "wecom"), Code(("code",), (200,), passing=(900,))),
    **dict.fromkeys(("onebot", "onebots"), Code(("retcode",), (0, 1))),
    **dict.fromkeys(("pushdeer", "pushdeers", "schan", "qq", "kook"), Code(("code",))),
}
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


def _answer(send: Callable[..., requests.Response], *given: Any, **named: Any) -> requests.Response:
    """An answer with so much of its body; the library would read on to its end."""
    answer = send(*given, **{**named, "stream": True})
    body = bytearray()
    for part in answer.iter_content(_AT_ONCE):
        body += part
        if len(body) >= MOST_TAKEN:
            break
    answer.close()
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
    (requests.Session, "send", _answer),
    (smtplib.SMTP, "getreply", _reply),
):
    setattr(_library, _method, _overheard(getattr(_library, _method), _with_bounds))


def _read(answer: Any, place: Code | None) -> Answer:
    if isinstance(answer, Exception):
        trouble = code_of(answer) if isinstance(answer, requests.RequestException) else ""
        return Answer(NO_ANSWER_AT_ALL, trouble=trouble)
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


def _document(body: bytes) -> object:
    try:
        return json.loads(body[:_MOST_READ])
    except (ValueError, RecursionError):
        return None


def refusal_in(document: object, place: Code) -> int | str | None:
    """What a service's answer calls its refusal; None where it took the message, or none can be read."""
    said = [(each, place.refuses(each)) for each in _values(document, place.path)]
    known = [(each, refuses) for each, refuses in said if refuses is not None]
    return known[0][0] if known and all(refuses for _, refuses in known) else None


def _values(document: object, path: Sequence[str]) -> list[Any]:
    found = [document]
    for name in path:
        if name == EACH:
            found = [inner for each in found if isinstance(each, list) for inner in each]
        else:
            found = [each[name] for each in found if isinstance(each, dict) and name in each]
    return found


def _shown(refusal: int | str) -> str:
    """A code as people may read it; empty for what says nothing."""
    text = "" if isinstance(refusal, bool) else str(refusal)
    return text if _SHOWN.fullmatch(text) else ""


def _word(document: object) -> str:
    said = document.get("error") if isinstance(document, dict) else None
    return said if isinstance(said, str) and _WORD.fullmatch(said) else ""
