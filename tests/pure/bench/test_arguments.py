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


@pytest.mark.parametrize("wrong", ["x", "0", "-1"])
def test_the_second_number_is_read_as_strictly(
    wrong: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["bench", "50", "3"])
    assert arguments.count(7, 1, 2, "days") == 3
    monkeypatch.setattr("sys.argv", ["bench", "50", wrong])
    with pytest.raises(SystemExit) as ended:
        arguments.count(7, 1, 2, "days")
    assert ended.value.code == 2
    assert capsys.readouterr().err == "How many days must be a whole number of at least 1.\n"
