"""The chain of a failure has an end, whatever it came from."""

from __future__ import annotations

from instances.engine.wording import is_used_up, reason
from instances.lib.causes import causes
from tasks.broker.reasons import broker_sentence


def chained(*errors: BaseException) -> BaseException:
    """Each came from the next, and the last one from the first again."""
    for error, origin in zip(errors, (*errors[1:], errors[0]), strict=True):
        error.__context__ = origin
    return errors[0]


def test_causes_are_told_outermost_first_and_each_once() -> None:
    outer, inner = ValueError("outer"), OSError(111, "Connection refused")
    outer.__cause__ = inner
    assert list(causes(outer)) == [outer, inner]
    assert list(causes(None)) == []


def test_an_error_that_comes_from_itself_is_put_into_words() -> None:
    for size in (2, 3):
        errors = [OSError(111, "Connection refused") for _ in range(size)]
        assert len(list(causes(chained(*errors)))) == size
        assert (is_used_up(errors[0]), reason(errors[0])) == (False, "Connection refused.")
        assert "nothing listens there" in broker_sentence(errors[0])
