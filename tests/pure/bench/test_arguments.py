"""What benchmarks are told is a number, or one sentence and code 2."""

from __future__ import annotations

import pytest

from bench import arguments
from bench.__main__ import main


@pytest.mark.parametrize(
    "words", [["-1"], ["49"], ["many"], ["500", "1e3"], ["--rounds", "0"], ["--answers", "x"]]
)
def test_what_is_no_number_is_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert "whole number of at least" in capsys.readouterr().err


@pytest.mark.parametrize(("words", "expected"), [([], 7), (["50"], 50)])
def test_one_number_is_read(words: list[str], expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["bench", *words])
    assert arguments.count(7) == expected
