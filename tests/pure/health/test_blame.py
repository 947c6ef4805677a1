"""Whose trouble each failure is."""

from __future__ import annotations

import errno

import pytest
import requests
from django.db import DataError, OperationalError

from instances import errors
from instances.engine.wording import is_used_up
from instances.health.blame import Whose, whose

CASES: list[tuple[Exception, Whose]] = [
    (errors.GateFailed("x"), Whose.INSTANCE),
    (errors.ContainerHung("x"), Whose.INSTANCE),
    (errors.PermanentError("x"), Whose.INSTANCE),
    (errors.DataMissing("x"), Whose.INSTANCE),
    (errors.TransientError("x"), Whose.INSTANCE),
    (errors.EngineUnreachable("x"), Whose.HOST),
    (errors.AnotherEngine("x"), Whose.HOST),
    (errors.EngineUnusable("x"), Whose.HOST),
    (errors.OutOfReachError("the registry"), Whose.HOST),
    (errors.DiskFull("x"), Whose.HOST),
    (errors.OwnPassingTrouble("x"), Whose.OWN),
    (errors.OwnDefect("x"), Whose.OWN),
    (errors.UnreadableSecret(), Whose.OWN),
    (KeyError("a defect"), Whose.OWN),
    (OSError(errno.ENOSPC, "No space left on device"), Whose.OWN),
    (DataError("x"), Whose.OWN),
    (OperationalError("x"), Whose.OWN),
]


@pytest.mark.parametrize(("error", "expected"), CASES, ids=lambda value: type(value).__name__)
def test_every_failure_is_somebody_s(error: Exception, expected: Whose) -> None:
    assert whose(error) is expected


def wrapped(code: int) -> requests.ConnectionError:
    """As the HTTP library tells of a connection that could not be made."""
    error = requests.ConnectionError("it did not work")
    error.__cause__ = OSError(code, "why")
    return error


@pytest.mark.parametrize(
    "code", [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.EADDRNOTAVAIL]
)
def test_what_this_machine_lacks_is_no_engine_s(code: int) -> None:
    assert is_used_up(wrapped(code))


@pytest.mark.parametrize("code", [errno.ECONNREFUSED, errno.ENOENT, errno.EHOSTUNREACH, errno.EACCES])
def test_an_engine_that_can_t_be_reached_is(code: int) -> None:
    assert not is_used_up(wrapped(code))
