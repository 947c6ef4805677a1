"""How many messages go at a time, what an answer means, and when the next attempt is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instances.alerts.delivery_rules import (
    DIGEST_BYTES,
    DIGEST_MOST,
    NO_ANSWER_AT_ALL,
    NOT_TAKEN,
    PARTLY,
    SENT,
    Answer,
    DeliveryOutcome,
    as_many_as_fit,
    free_at,
    judge_answers,
    judge_delivery,
    judge_mail,
    refusal_by_mail,
    retry_wait,
    together,
)
from tests.pure.moments import START, at, seconds

ANSWERS: dict[int, DeliveryOutcome] = {
    200: DeliveryOutcome.SENT,
    204: DeliveryOutcome.SENT,
    302: DeliveryOutcome.TRANSIENT,
    400: DeliveryOutcome.MESSAGE_REFUSED,
    401: DeliveryOutcome.PERMANENT,
    404: DeliveryOutcome.PERMANENT,
    408: DeliveryOutcome.TRANSIENT,
    410: DeliveryOutcome.PERMANENT,
    403: DeliveryOutcome.PERMANENT,
    413: DeliveryOutcome.MESSAGE_REFUSED,
    422: DeliveryOutcome.MESSAGE_REFUSED,
    425: DeliveryOutcome.TRANSIENT,
    429: DeliveryOutcome.TRANSIENT,
    500: DeliveryOutcome.TRANSIENT,
    503: DeliveryOutcome.TRANSIENT,
}


@pytest.mark.parametrize(("status", "outcome"), ANSWERS.items())
def test_a_status_says_whether_trying_again_makes_sense(status: int, outcome: DeliveryOutcome) -> None:
    result = judge_delivery(status, None, START)
    assert result.outcome is outcome
    assert bool(result.error) == (result != SENT)


WAITS: dict[str, tuple[str | None, float]] = {
    "none": (None, 0),
    "seconds": ("120", 120),
    "seconds with spaces": (" 7 ", 7),
    "parts of seconds": ("64.57", 64.57),
    "a date": ("Thu, 01 Jan 2026 00:02:00 GMT", 120),
    "a date without a zone": ("Thu, 01 Jan 2026 00:02:00 -0000", 120),
    "a date that has passed": ("Wed, 31 Dec 2025 00:00:00 GMT", 0),
    "a date beyond all dates": (f"Thu, 01 Jan {10**20} 00:00:00 GMT", 0),
    "a zone beyond all zones": (f"Thu, 01 Jan 2026 00:02:00 +{10**20}", 0),
    "a day": ("86400", 3600),
    "for ever": ("9" * 400, 3600),
    "a negative number": ("-5", 0),
    "nonsense": ("soon", 0),
}


@pytest.mark.parametrize(("header", "wait"), WAITS.values(), ids=WAITS.keys())
def test_the_wait_a_receiver_asks_for_is_honoured_up_to_an_hour(header: str | None, wait: float) -> None:
    assert judge_delivery(429, header, START).wait == wait


@pytest.mark.parametrize(
    ("failures", "asked", "wait"),
    [(1, 0, 5), (2, 0, 10), (6, 0, 160), (7, 0, 300), (1000, 0, 300), (1, 60, 60), (7, 60, 300)],
)
def test_waits_double_up_to_five_minutes(failures: int, asked: float, wait: float) -> None:
    assert retry_wait(failures, asked, 0).total_seconds() == wait


@given(st.integers(1, 10_000), st.integers(0, 3600), st.floats(-1, 1))
def test_jitter_never_cuts_the_wait_that_was_asked_for(failures: int, asked: float, jitter: float) -> None:
    assert max(asked, 4) <= retry_wait(failures, asked, jitter).total_seconds() <= max(asked, 360)


SLOTS: dict[str, tuple[int, list[float], int]] = {
    "nothing waits": (0, [], 0),
    "one by itself": (1, [], 1),
    "five, one by one": (5, [], 1),
    "six at once": (6, [], 6),
    "two and one slot": (2, [10, 11, 12, 13], 2),
    "one and one slot": (1, [10, 11, 12, 13], 1),
    "no slot": (1, [10, 11, 12, 13, 14], 0),
    "slots that are free again": (5, [-5, -4, -3, -2, 0], 1),
    "more than a digest takes": (900, [], DIGEST_MOST),
}


@pytest.mark.parametrize(("waiting", "sent", "count"), SLOTS.values(), ids=SLOTS.keys())
def test_at_most_five_messages_a_minute(waiting: int, sent: list[float], count: int) -> None:
    assert together(waiting, [at(second) for second in sent], at(60)) == count


def test_the_next_slot_is_free_a_minute_after_the_fifth_last_message() -> None:
    sent = [at(second) for second in (1, 2, 30, 31, 32, 33)]
    assert seconds(free_at(sent, at(40))) == 62
    assert seconds(free_at(sent[:4], at(40))) == 40


@given(st.lists(st.floats(0, 100), max_size=9), st.integers(1, 500))
def test_something_goes_as_soon_as_a_slot_is_free(sent: list[float], waiting: int) -> None:
    moments = [at(second) for second in sent]
    assert together(waiting, moments, free_at(moments, at(100))) > 0


def test_a_digest_is_bounded_in_bytes_and_holds_one_message_at_least() -> None:
    assert as_many_as_fit([DIGEST_BYTES * 2, 1]) == 1
    assert as_many_as_fit([DIGEST_BYTES // 2, DIGEST_BYTES // 2, 1]) == 2
    assert as_many_as_fit([1, 2, 3]) == 3


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        (421, "transient"), (450, "transient"), (454, "transient"), (500, "message_refused"),
        (530, "permanent"), (535, "permanent"), (550, "message_refused"), (552, "message_refused"),
    ],
)  # fmt: skip
def test_what_the_code_of_a_mail_server_means(code: int, outcome: str) -> None:
    assert judge_mail(code).outcome == outcome


@pytest.mark.parametrize(
    ("codes", "refusal"),
    [
        ((220, 250, 535, 535, 221), 535),
        ((220, 250, 535, 235, 250, 250, 354), None),
        ((220, 250, 535, 235, 250, 550, 250, 221), 550),
        ((220, 250, 235, 250, 550, 250, 250, 451, 221), 451),
        ((554,), 554),
        ((220, 250), None),
        ((), None),
    ],
)
def test_a_mail_server_refuses_by_the_last_code_that_counts(
    codes: tuple[int, ...], refusal: int | None
) -> None:
    assert refusal_by_mail(codes) == refusal


OK, BAD, GONE, BUSY = (Answer(status) for status in (200, 400, 410, 503))
LATER = Answer(429, retry_after="7")
NO, NOT_NOW = Answer(200, refusal="4"), Answer(200, refusal="1", may_pass=True)
# name: (answers, codes in the log, whether Apprise takes it for sent, outcome, words of the error)
JUDGED: dict[str, tuple[list[Answer], list[int], bool, str, str]] = {
    "taken": ([OK], [], True, "sent", ""),
    "refused within 200": ([NO], [], True, "message_refused", "code 4"),
    "refused within 200, for now": ([NOT_NOW], [], True, "transient", "code 1"),
    "for good by one, for now by another": ([NO, NOT_NOW], [], True, "transient", "code 1"),
    "refused by one of two": ([OK, NO], [], True, "sent", PARTLY),
    "refused without a code": ([Answer(200, refusal="")], [], True, "message_refused", "HTTP status 200."),
    "gone": ([GONE], [410], False, "permanent", "410"),
    "no status in the log": ([GONE], [], False, "permanent", "410"),
    "gone and busy": ([GONE, BUSY], [410, 503], False, "transient", "503"),
    "the message by one, for now by another": ([BAD, BUSY], [400, 503], False, "transient", "503"),
    "within 200 by one, for now by another": ([NO, BUSY], [503], False, "transient", "503"),
    "within 200 by one, for good by another": ([GONE, NO], [410], False, "message_refused", "code 4"),
    "asked to wait": ([LATER], [429], False, "transient", "429"),
    "another 2xx": ([Answer(204)], [204], False, "sent", ""),
    "a word within 200": ([Answer(200, word="invalid_auth")], [200], False, "permanent", "(invalid_auth)"),
    "an unknown word": ([Answer(200, word="odd")], [200], False, "message_refused", "(odd)"),
    "no word within 200": ([OK], [200], False, "message_refused", "HTTP status 200."),
    "read as a refusal": ([OK], [], False, "message_refused", "HTTP status 200."),
    "a code of its own": ([OK], [103], False, "message_refused", "HTTP status 200."),
    "let in and refused": ([OK, NO], [], False, "message_refused", "code 4"),
    "let in and broken": ([OK, Answer(NO_ANSWER_AT_ALL)], [], False, "transient", NOT_TAKEN.error),
    "the line broke": ([GONE, Answer(NO_ANSWER_AT_ALL)], [], False, "transient", NOT_TAKEN.error),
    "nothing heard": ([], [], False, "transient", NOT_TAKEN.error),
    "by mail": ([Answer(535, is_mail=True)], [], False, "permanent", "535"),
}


@pytest.mark.parametrize("name", JUDGED)
def test_all_that_was_answered_to_a_message_decides(name: str) -> None:
    answers, named, is_taken, outcome, error = JUDGED[name]
    result = judge_answers(answers, named, is_taken, START)
    assert result.outcome.value == outcome
    assert error in result.error
    assert bool(error) == bool(result.error)


def test_the_wait_that_was_asked_for_is_kept() -> None:
    assert judge_answers([LATER], [429], False, START).wait == 7
