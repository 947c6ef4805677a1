"""What services answer that Apprise keeps to itself: when to try again, and refusals inside an answer 200."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

# Services that answer 200 in any case: where their answer has a code, which is 0 for a message they took.
_CODES: dict[str, tuple[str, ...]] = {
    "dingtalk": ("errcode",),
    "wecombot": ("errcode",),
    "feishu": ("code",),
    "lark": ("code",),
    "synology": ("error", "code"),
    "synologys": ("error", "code"),
}
# Slack's words in an answer 200, by the status that others answer with.
_WORDS = {
    **dict.fromkeys(
        ("not_authed", "invalid_auth", "account_inactive", "token_revoked", "token_expired"), 401
    ),
    **dict.fromkeys(("not_in_channel", "missing_scope", "no_permission"), 403),
    **{"channel_not_found": 404, "is_archived": 410, "ratelimited": 429, "rate_limited": 429},
    **dict.fromkeys(("internal_error", "fatal_error", "service_unavailable", "request_timeout"), 503),
}
_MAY_PASS = frozenset({-1, 411, 11232, 45009, 90030, 130101, 410100})  # busy, or asked too often
NO_ANSWER_AT_ALL = 0  # in place of a status
_ASKING = frozenset({"get", "post", "put", "request", "SMTP", "SMTP_SSL"})
_WORD = re.compile("[a-z_]{1,60}")
_MOST_READ = 64 * 1024  # bytes
_MAIL = "apprise.plugins.email.smtp"  # where its plugins for mail speak to servers


@dataclass(frozen=True)
class Answer:
    """One answer of a service, or of a mail server. `refusal` is a service's own code for not taking the
    message, None where it did; `word` is what it calls an error.
    """

    status: int
    retry_after: str | None = None
    refusal: int | None = None
    word: str = ""
    is_mail: bool = False

    @property
    def may_pass(self) -> bool:
        return self.refusal in _MAY_PASS

    @property
    def means(self) -> int:
        """The status that its word stands for; one about the message where the word is not known."""
        return _WORDS.get(self.word, 400)


_listener: ContextVar[Callable[[Any], None] | None] = ContextVar("listener", default=None)


def hear(plugin: Any, scheme: str) -> list[Answer]:
    """The answers to what a plugin asks on this thread from now on, as they come."""
    answers: list[Answer] = []
    place = _CODES.get(scheme.lower(), ())
    for module in {type(plugin).__module__, _MAIL} & sys.modules.keys():
        _overhear(sys.modules[module])
    _listener.set(lambda answer: answers.append(_read(answer, place)))
    return answers


def _overhear(module: Any) -> None:
    for library, told in (("requests", _overheard), ("smtplib", _overheard_mail)):
        found = getattr(module, library, None)
        if found is not None and not isinstance(found, _Overheard):
            setattr(module, library, _Overheard(found, told))


class _Overheard:
    """A library as a plugin uses it: whoever listens on its thread hears each answer."""

    def __init__(self, library: Any, told: Callable[[Any], Any]) -> None:
        self._library, self._told = library, told

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._library, name)
        return self._told(found) if name in _ASKING else found


def _overheard_mail(kind: Any) -> Any:
    class Heard(kind):  # type: ignore[misc]
        def getreply(self) -> tuple[int, bytes]:
            code, text = super().getreply()
            if (listener := _listener.get()) is not None:
                listener(code)
            return code, text

    return Heard


def _overheard(ask: Callable[..., Any]) -> Callable[..., Any]:
    def asked(*given: Any, **named: Any) -> Any:
        answer, listener = None, _listener.get()
        try:
            answer = ask(*given, **named)
        finally:
            if listener is not None:
                listener(answer)
        return answer

    return asked


def _read(answer: Any, place: Sequence[str]) -> Answer:
    if answer is None:
        return Answer(NO_ANSWER_AT_ALL)
    if isinstance(answer, int):
        return Answer(answer, is_mail=True)
    document = _document(answer.content) if 200 <= answer.status_code < 300 else None
    retry_after = answer.headers.get("Retry-After")
    return Answer(int(answer.status_code), retry_after, refusal_in(document, place), _word(document))


def _document(body: bytes) -> object:
    try:
        return json.loads(body[:_MOST_READ])
    except (ValueError, RecursionError):
        return None


def refusal_in(document: object, place: Sequence[str]) -> int | None:
    """The code of a refusal in a service's answer; None where it took the message, or none can be read."""
    found = document if place else None
    for name in place:
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, int) and found else None


def _word(document: object) -> str:
    said = document.get("error") if isinstance(document, dict) else None
    return said if isinstance(said, str) and _WORD.fullmatch(said) else ""
