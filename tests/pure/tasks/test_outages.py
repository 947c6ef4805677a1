"""What fails again and again is told once, in words."""

from __future__ import annotations

import logging

import pytest
from django.db import DatabaseError, ProgrammingError
from django.db import OperationalError as NoDatabase
from kombu.exceptions import BatchPublishError, OperationalError  # type: ignore[attr-defined]

from instances.errors import OutOfReachError
from tasks.broker.reasons import OUT_OF_REACH
from tasks.outages import SaidOnce, in_words


def refused(state: str) -> DatabaseError:
    """As Django raises it, with the server's own state behind."""
    error = ProgrammingError('relation "instances_host" does not exist')
    error.__cause__ = Exception()
    error.__cause__.sqlstate = state  # type: ignore[attr-defined]
    return error


WORDS = [
    (refused("42P01"), "The database lacks tables of this version; run manage.py migrate first."),
    (refused("42601"), 'ProgrammingError: relation "instances_host" does not exist'),
    (OperationalError("Error 2 connecting"), OUT_OF_REACH),
    (BatchPublishError("delivery is uncertain"), OUT_OF_REACH),
    (NoDatabase("no route"), "The database can't be reached or refuses to work (DATABASE_URL)."),
    (OutOfReachError("Nobody is there."), "Nobody is there."),
    (ValueError("number 1\nand more"), "ValueError: number 1"),
]


@pytest.mark.parametrize(("error", "words"), WORDS, ids=[words for _, words in WORDS])
def test_an_outage_is_told_in_words_and_a_defect_by_its_kind(error: Exception, words: str) -> None:
    assert in_words(error) == words


def test_it_is_told_once_until_something_works_again(caplog: pytest.LogCaptureFixture) -> None:
    once = SaidOnce(logging.getLogger("tasks.tests"))
    for _ in range(3):
        once.failed("A turn", OutOfReachError("Nobody is there."))
    once.worked()
    once.failed("A turn", OutOfReachError("Nobody is there."))
    assert caplog.messages == ["A turn failed: Nobody is there."] * 2
