"""What a plan may want to be told of from logs; whatever a line holds, it is read once."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from instances.containers.log_alerts import LogAlert, conflict, documents

QUOTA = "ERROR .* quota exceeded"


def refusal(**given: Any) -> str:
    with pytest.raises(ValidationError) as refused:
        LogAlert.model_validate({"match": "x", **given})
    [error] = refused.value.errors()
    return f"{error['loc'][0]} {error['msg'].removeprefix('Value error, ')}"


def test_what_is_left_out_has_a_default_and_all_of_it_is_kept() -> None:
    alerts = [
        LogAlert.model_validate({"match": QUOTA, "more_than": 5, "within": "10m", "level": "critical"}),
        LogAlert.model_validate({"match": "panic"}),
    ]
    assert documents(alerts) == [
        {"match": QUOTA, "more_than": 5, "within": 600, "level": "critical"},
        {"match": "panic", "more_than": 0, "within": 600, "level": "warning"},
    ]
    assert [LogAlert.model_validate(document) for document in documents(alerts)] == alerts
    assert alerts[0].key != alerts[1].key


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"match": ""}, "must be a pattern of at most 200 printable characters"),
        ({"match": "a" * 201}, "must be a pattern of at most 200"),
        ({"match": "a\nb"}, "printable"),
        ({"match": ["a"]}, "must be a pattern"),
        ({"match": "("}, "is no pattern that RE2 takes: missing )"),
        ({"match": r"(a)\1"}, "is no pattern that RE2 takes: invalid escape sequence"),
        ({"match": "(?=a)"}, "is no pattern that RE2 takes: invalid perl operator"),
        ({"match": "a{1001}"}, "is no pattern that RE2 takes: invalid repetition size"),
        ({"match": "(ab|cd){900}"}, "is too large a pattern"),
        ({"match": "x*"}, "must not be a pattern that the empty line has"),
        ({"match": "quota|"}, "must not be a pattern that the empty line has"),
        ({"within": "9s"}, "must be a time from 10s to 1d"),
        ({"within": "2d"}, "must be a time from 10s to 1d"),
        ({"within": "soon"}, "must be a time"),
        ({"within": True}, "must be a time"),
        ({"more_than": 1001}, "less than or equal to 1000"),
        ({"more_than": -1}, "greater than or equal to 0"),
        ({"more_than": "5"}, "valid integer"),
        ({"level": "info"}, "'warning' or 'critical'"),
        ({"then": "restart"}, "not permitted"),
    ],
)
def test_what_can_not_be_meant_is_refused_by_name(given: dict[str, Any], words: str) -> None:
    told = refusal(**given)
    assert told.startswith(next(iter(given)))
    assert words in told


def test_a_pattern_reads_what_a_log_holds() -> None:
    pattern = LogAlert(match=QUOTA).pattern
    assert pattern.search(b"12:00 ERROR of c1 quota exceeded now")
    assert pattern.search(b"ERROR \0 quota exceeded")
    assert pattern.search("ERROR \ufffd quota exceeded".encode())
    assert not pattern.search(b"ERROR of c1: quota left")
    assert LogAlert(match="größer").pattern.search("viel größer".encode())


def test_a_container_without_a_log_is_refused() -> None:
    assert "driver none" in conflict([LogAlert(match="x")], "none")
    assert not conflict([LogAlert(match="x")], "json-file")
    assert not conflict([], "none")
