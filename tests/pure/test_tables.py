"""Tables whose rows are one test."""

from __future__ import annotations

import pytest

from tests.pure.conftest import in_one

MET: list[tuple[int, str]] = []


@pytest.mark.parametrize("sign", ["a", pytest.param("b", id="second")])
@pytest.mark.parametrize(("number",), [(1,), (2,)])
def test_each_row_is_tried_with_each_of_another_table(number: int, sign: str) -> None:
    MET.append((number, sign))


def test_no_row_is_left_out() -> None:
    assert not MET or sorted(MET) == [(1, "a"), (1, "b"), (2, "a"), (2, "b")]


def test_a_row_that_fails_is_named() -> None:
    def small(number: int) -> None:
        assert number < 2

    with pytest.raises(AssertionError) as failed:
        in_one(small, [{"number": 1}, {"number": 2}])()
    assert failed.value.__notes__ == ["In the row 2."]
