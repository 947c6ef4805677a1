"""How messages go out: how many at a time, what an answer means, and when to try again. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from http import HTTPStatus
from itertools import accumulate, takewhile

from instances.health.response import sentence
from instances.lib.backoff import Retry, wait_before_next

SENDS = 5
WINDOW = timedelta(seconds=60)
DIGEST_MOST = 200
BACKOFF = Retry(tries=1_000_000, first=5.0, factor=2.0, longest=300.0, spread=0.2)
LONGEST_ASKED = 3600.0
_SECONDS = re.compile(r"[0-9]+(\.[0-9]+)?")
_TRY_AGAIN = (408, 425, 429)
_ABOUT_THE_MESSAGE = (400, 406, 409, 413, 414, 415, 422, 431)
_LET_IN = 235
_NOT_LET_IN = (530, 534, 535, 538)  # of mail servers
MOST_REFUSALS = 5  # messages refused one after the other; so many speak against the channel
DIGEST_BYTES = 128 * 1024
NO_ANSWER_AT_ALL = 0  # in place of a status
PARTLY = "Not all receivers of the channel's URL took the message."
REFUSED_WITH_200 = "The service refused the message, though it answered with HTTP status 200"
# Slack's words in an answer 200, by the status that others answer with.
_WORDS = {
    **dict.fromkeys(
        ("not_authed", "invalid_auth", "account_inactive", "token_revoked", "token_expired"), 401
    ),
    **dict.fromkeys(("not_in_channel", "missing_scope", "no_permission"), 403),
    **{"channel_not_found": 404, "is_archived": 410, "ratelimited": 429, "rate_limited": 429},
    **dict.fromkeys(("internal_error", "fatal_error", "service_unavailable", "request_timeout"), 503),
}


class DeliveryOutcome(StrEnum):
    """A permanent refusal would be repeated, that of a message only with this message; the rest may pass."""

    SENT = "sent"
    TRANSIENT = "transient"
    MESSAGE_REFUSED = "message_refused"
    PERMANENT = "permanent"


@dataclass(frozen=True)
class DeliveryResult:
    """How an attempt ended. `error` is a sentence without address or credentials; `wait` in seconds."""

    outcome: DeliveryOutcome
    error: str = ""
    wait: float = 0.0


_HOPE = (DeliveryOutcome.TRANSIENT, DeliveryOutcome.MESSAGE_REFUSED, DeliveryOutcome.PERMANENT)
SENT = DeliveryResult(DeliveryOutcome.SENT)
NOT_TAKEN = DeliveryResult(DeliveryOutcome.TRANSIENT, "The service did not take the message.")


@dataclass(frozen=True)
class Answer:
    """One answer of a service, or of a mail server. `refusal` is a service's own code for not taking the
    message, empty where that says nothing, None where it did; `word` is what it calls an error.
    `trouble` is why there was none, a code of `health.response`.
    """

    status: int
    retry_after: str | None = None
    refusal: str | None = None
    may_pass: bool = False
    word: str = ""
    is_mail: bool = False
    trouble: str = ""

    @property
    def means(self) -> int:
        """The status that its word stands for; one about the message where the word is not known."""
        return _WORDS.get(self.word, 400)

    @property
    def is_receipt(self) -> bool:
        return 200 <= self.status < 300 and self.refusal is None


def judge_answers(
    answers: Sequence[Answer], named: Sequence[int], is_taken: bool, now: datetime
) -> DeliveryResult:
    """What became of a message, given all that was answered to it and whether Apprise takes it for sent.

    `named` are the codes in Apprise's log: the status of an answer, or a code of the service's own.
    """
    refused = [each for each in answers if each.refusal is not None]
    if is_taken and not refused:
        return SENT
    if is_taken and any(each.is_receipt for each in answers):
        return DeliveryResult(DeliveryOutcome.SENT, PARTLY)
    by_mail = refusal_by_mail([each.status for each in answers if each.is_mail])
    if by_mail is not None:
        return judge_mail(by_mail)
    return _by_status(answers, named, now, [_by_code(each) for each in refused])


def _by_code(refused: Answer) -> DeliveryResult:
    """What a service says that answers 200 in any case."""
    outcome = DeliveryOutcome.TRANSIENT if refused.may_pass else DeliveryOutcome.MESSAGE_REFUSED
    code = refused.refusal
    return DeliveryResult(
        outcome, f"The service refused the message with its code {code}." if code else f"{REFUSED_WITH_200}."
    )


def _by_status(
    answers: Sequence[Answer], named: Sequence[int], now: datetime, by_code: Sequence[DeliveryResult]
) -> DeliveryResult:
    """A URL may stand for several receivers: while it may pass at one of them, it is tried again."""
    heard = [each.status for each in answers if not each.is_mail]
    statuses = [status for status in named or heard[-1:] if status >= 300]
    waits = {each.status: each.retry_after for each in answers}
    found = [*by_code, *(judge_delivery(status, waits.get(status), now) for status in statuses)]
    if found:
        return min(found, key=lambda result: _HOPE.index(result.outcome))
    if any(code in heard and code != HTTPStatus.OK for code in named):
        return SENT  # a plugin that knows no other 2xx
    if heard[-1:] and 200 <= heard[-1] < 300:
        return _by_word(answers, now)
    trouble = answers[-1].trouble if answers else ""
    return replace(NOT_TAKEN, error=sentence(trouble)) if trouble else NOT_TAKEN


def _by_word(answers: Sequence[Answer], now: datetime) -> DeliveryResult:
    """What a plugin itself read as a refusal in an answer 200."""
    said = next((each for each in answers if each.word), Answer(HTTPStatus.OK))
    error = f"{REFUSED_WITH_200} ({said.word})." if said.word else f"{REFUSED_WITH_200}."
    return replace(judge_delivery(said.means, said.retry_after, now), error=error)


def judge_delivery(status: int, retry_after: str | None, now: datetime) -> DeliveryResult:
    """What an HTTP status means, with the wait that the receiver asked for, if any."""
    if 200 <= status < 300:
        return SENT
    error = f"The receiver answered with HTTP status {status}."
    if status in _ABOUT_THE_MESSAGE:
        return DeliveryResult(DeliveryOutcome.MESSAGE_REFUSED, error)
    if 400 <= status < 500 and status not in _TRY_AGAIN:
        return DeliveryResult(DeliveryOutcome.PERMANENT, error)
    return DeliveryResult(DeliveryOutcome.TRANSIENT, error, _asked_wait(retry_after, now))


def refusal_by_mail(codes: Sequence[int]) -> int | None:
    """The code by which a mail server refused, given all it answered; None where it did not.

    What it said of other ways to log in counts no more once it has let dockmgr in.
    """
    known = list(codes)
    since = len(known) - known[::-1].index(_LET_IN) if _LET_IN in known else 0
    return next((code for code in reversed(known[since:]) if code >= 400), None)


def judge_mail(code: int) -> DeliveryResult:
    """What a mail server's code for a refusal means: who it does not let in, a message, or what may pass."""
    error = f"The mail server answered with code {code}."
    if code in _NOT_LET_IN:
        return DeliveryResult(DeliveryOutcome.PERMANENT, error)
    lasts = code >= 500
    return DeliveryResult(DeliveryOutcome.MESSAGE_REFUSED if lasts else DeliveryOutcome.TRANSIENT, error)


def _asked_wait(retry_after: str | None, now: datetime) -> float:
    """Seconds, at most an hour; the header holds a number of seconds or a date."""
    text = (retry_after or "").strip()
    if _SECONDS.fullmatch(text):
        return min(float(text), LONGEST_ASKED)
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return 0.0
    seconds = (date.replace(tzinfo=date.tzinfo or UTC) - now).total_seconds()
    return min(max(seconds, 0.0), LONGEST_ASKED)


def retry_wait(failures: int, asked: float, jitter: float) -> timedelta:
    """Until the next attempt after so many failures in a row; `jitter` is drawn from -1..1."""
    own = wait_before_next(BACKOFF, failures, jitter) or BACKOFF.longest
    return timedelta(seconds=max(own, asked))


def free_at(sent: Sequence[datetime], now: datetime) -> datetime:
    """When the next message may go, given when the last ones went."""
    recent = sorted(moment for moment in sent if moment > now - WINDOW)
    return now if len(recent) < SENDS else recent[-SENDS] + WINDOW


def together(waiting: int, sent: Sequence[datetime], now: datetime) -> int:
    """How many of the waiting messages go next as one: 0 for none yet, 1 for the first by itself."""
    slots = SENDS - sum(moment > now - WINDOW for moment in sent)
    if slots <= 0:
        return 0
    return min(waiting, DIGEST_MOST) if waiting > slots else min(waiting, 1)


def as_many_as_fit(sizes: Sequence[int]) -> int:
    """How many of messages with these sizes, in bytes, go into one digest; the first always does."""
    fitting = takewhile(lambda total: total <= DIGEST_BYTES, accumulate(sizes))
    return max(1, sum(1 for _ in fitting))
