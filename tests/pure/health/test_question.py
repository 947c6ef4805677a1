"""What a plan may ask of its instances."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from instances.health.question import Question, conflict
from instances.health.response import Expect, Outcome, judge_response

KEPT: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {}),
    ({"kind": "tcp", "port": 25565}, {"kind": "tcp", "port": 25565}),
    ({"kind": "https", "tls_verify": False}, {"kind": "https", "tls_verify": False}),
    ({"path": "/up", "expect": "http_2xx", "status": 401}, {"status": [401]}),
    ({"headers": {"X-Token": "secret"}, "status": [200, 302]}, {"status": [200, 302]}),
]  # fmt: skip


@pytest.mark.parametrize(("said", "kept"), KEPT, ids=str)
def test_the_document_has_what_stands_in_no_column_of_its_own(
    said: dict[str, Any], kept: dict[str, Any]
) -> None:
    assert Question.model_validate(said).document() == kept


@pytest.mark.parametrize(
    "said",
    [
        {"kind": "ping"}, {"path": "up"}, {"port": 0}, {"host": "a b"}, {"host": "a\r\nb"}, {"host": "a..b"},
        {"host": "a" * 64}, {"host": "1.2.3.4.5"}, {"status": 99},
        {"status": [True]}, {"status": "2xx"}, {"headers": ["a"]}, {"headers": {"Host": "a"}}, {"wait": 1},
        {"headers": {"a b": "c"}}, {"headers": {"X-A": "c\r\nX-B: d"}}, {"tls_verify": "perhaps"},
    ],
    ids=str,
)  # fmt: skip
def test_what_cannot_be_asked_is_refused_without_showing_a_header(said: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as refused:
        Question.model_validate(said)
    assert "X-B" not in str(refused.value)
    assert "secret" not in repr(Question.model_validate(KEPT[4][0]))


@pytest.mark.parametrize(
    ("port", "words"),
    [(None, ""), (8080, ""), (9090, ""), (22, "neither the container_port nor one of ports")],
)
def test_a_port_that_is_not_published_cannot_be_asked(port: int | None, words: str) -> None:
    document = {} if port is None else {"port": port}
    found = conflict(document, 8080, ("9090/tcp", "22/udp"))
    assert words in found and bool(words) == bool(found)


@pytest.mark.parametrize(
    ("status", "body", "wanted", "outcome", "reason"),
    [
        (401, b"", (401,), Outcome.OK, ""),
        (302, b"", (200, 302), Outcome.OK, ""),
        (200, b"", (401,), Outcome.FAIL, "http_200"),
        (302, b"", (200,), Outcome.FAIL, "redirect"),
        (200, b'{"ok": false}', (200,), Outcome.FAIL, "body_not_ok"),
        (503, b"", (), Outcome.FAIL, "http_503"),
    ],
)
def test_wanted_statuses_take_the_place_of_2xx(
    status: int, body: bytes, wanted: tuple[int, ...], outcome: Outcome, reason: str
) -> None:
    judged = judge_response(status, body, Expect.AUTO, wanted)
    assert (judged.outcome, judged.reason, judged.http_status) == (outcome, reason, status)
