"""What an answer means, as a table."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instances.health import response
from instances.health.response import Expect, Outcome, Reply, judge_response, sentence

AUTO, JSON_OK, HTTP_2XX = Expect.AUTO, Expect.JSON_OK, Expect.HTTP_2XX
OK = (Outcome.OK, "")
STARTING = (Outcome.STARTING, "")
NOT_OK = (Outcome.FAIL, "body_not_ok")
BAD_JSON = (Outcome.FAIL, "bad_json")
DEEP = b"[" * 10_000 + b"]" * 10_000

# name: (body, judged as auto, judged as json_ok); http_2xx passes all of them
BODIES = {
    "ok": (b'{"ok": true}', OK, OK),
    "live": (b'{"ok": true, "status": "live"}', OK, OK),
    "ok is false": (b'{"ok": false}', NOT_OK, NOT_OK),
    "ok is false while starting": (b'{"ok": false, "status": "starting"}', NOT_OK, NOT_OK),
    "ok is missing": (b'{"status": "live"}', OK, NOT_OK),
    "ok is one": (b'{"ok": 1}', OK, NOT_OK),
    "ok is a word": (b'{"ok": "true"}', OK, NOT_OK),
    "ok is null": (b'{"ok": null}', OK, NOT_OK),
    "ok but its gateway is starting": (b'{"ok": true, "gateway": "starting"}', STARTING, STARTING),
    "ok but its state is Starting": (b'{"ok": true, "state": "Starting"}', STARTING, STARTING),
    "ok but its status is STARTING": (b'{"ok": true, "status": "STARTING"}', STARTING, STARTING),
    "starting without ok": (b'{"status": "starting"}', STARTING, NOT_OK),
    "starting elsewhere": (b'{"ok": true, "phase": "starting"}', OK, OK),
    "status is a list": (b'{"ok": true, "status": ["starting"]}', OK, OK),
    "plain text": (b"OK", OK, BAD_JSON),
    "the word starting": (b"starting", OK, BAD_JSON),
    "empty": (b"", OK, BAD_JSON),
    "broken JSON": (b'{"ok": false', OK, BAD_JSON),
    "an array": (b'[{"ok": false}]', OK, BAD_JSON),
    "a bare true": (b"true", OK, BAD_JSON),
    "null": (b"null", OK, BAD_JSON),
    "an empty object": (b"{}", OK, NOT_OK),
    "invalid UTF-8": (b'{"ok": true, "x": "\xff\xfe"}', OK, BAD_JSON),
    "not ok, with Latin-1 in it": (b'{"ok": false, "x": "d\xe9j\xe0"}', NOT_OK, BAD_JSON),
    "not ok, with a line end in its text": (b'{"ok": false, "x": "a\n\tb"}', NOT_OK, BAD_JSON),
    "not ok, with a huge number": (b'{"ok": false, "n": ' + b"9" * 5000 + b"}", NOT_OK, BAD_JSON),
    "starting, with a line end in its text": (
        b'\n{"ok": true, "gateway": "starting", "x": "\n"}',
        STARTING,
        BAD_JSON,
    ),
    "ok, with a line end in its text": (b'{"ok": true, "x": "a\nb"}', OK, BAD_JSON),
    "two objects": (b'{"ok": false}{"ok": false}', OK, BAD_JSON),
    "a byte order mark": (b'\xef\xbb\xbf{"ok": false}', NOT_OK, NOT_OK),
    "NaN": (b'{"ok": true, "load": NaN}', OK, OK),
    "a huge number": (b'{"ok": true, "n": ' + b"9" * 5000 + b"}", OK, BAD_JSON),
    "duplicate keys, the last one wins": (b'{"ok": true, "ok": false}', NOT_OK, NOT_OK),
    "nested deeply": (b"[" * 60_000, OK, BAD_JSON),
    "objects nested deeply": (b'{"ok":' * 10_000, OK, BAD_JSON),
    "ok is false behind what is nested deeply": (b'{"a": %b, "ok": false}' % DEEP, NOT_OK, NOT_OK),
    "ok is false before it": (b'{"ok": false, "a": "}\\"{", "b": {"c": %b}}' % DEEP, NOT_OK, NOT_OK),
    "ok is false within it alone": (b'{"ok": true, "a": {"ok": false, "b": %b}}' % DEEP, OK, OK),
    "starting behind what is nested deeply": (
        b'{"a": %b, "ok": true, "state": "starting"}' % DEEP,
        STARTING,
        STARTING,
    ),
}


@pytest.mark.parametrize(("body", "auto", "json_ok"), BODIES.values(), ids=BODIES.keys())
def test_a_body_is_read_as_strictly_as_the_plan_says(
    body: bytes, auto: tuple[Outcome, str], json_ok: tuple[Outcome, str]
) -> None:
    assert judge_response(200, body, AUTO) == Reply(*auto, 200)
    assert judge_response(200, body, JSON_OK) == Reply(*json_ok, 200)
    assert judge_response(200, body, HTTP_2XX) == Reply(*OK, 200)


@pytest.mark.parametrize("status", [201, 299])
def test_any_status_of_success_is_one_whose_body_counts(status: int) -> None:
    assert judge_response(status, b'{"ok": false}', AUTO) == Reply(*NOT_OK, status)
    assert judge_response(status, b"well", JSON_OK) == Reply(*BAD_JSON, status)
    assert judge_response(status, b"well", HTTP_2XX) == Reply(*OK, status)


@pytest.mark.parametrize("expect", Expect)
@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (101, "http_101"),
        (199, "http_199"),
        (300, "redirect"),
        (302, "redirect"),
        (304, "redirect"),
        (399, "redirect"),
        (400, "http_400"),
        (401, "http_401"),
        (404, "http_404"),
        (500, "http_500"),
        (503, "http_503"),
        (999, "http_999"),
    ],
)
def test_any_status_but_2xx_fails_whatever_the_body_says(status: int, reason: str, expect: Expect) -> None:
    for body in (b'{"ok": true, "version": "1"}', b'{"gateway": "starting"}', b""):
        assert judge_response(status, body, expect) == Reply(Outcome.FAIL, reason, status)


@pytest.mark.parametrize(
    ("value", "version"),
    [
        ('"2026.2.19"', "2026.2.19"),
        ('" 1.2\\n"', "1.2"),
        ("3", "3"),
        ("1.5", "1.5"),
        (f'"{"v" * 100}"', "v" * 64),
        ("9" * 100, "9" * 64),
        ('"ünï"', "ünï"),
        ('""', None),
        ('"  "', None),
        ("true", None),
        ("null", None),
        ("NaN", None),
        ("1e999", None),
        ('["1"]', None),
        ('{"v": 1}', None),
        ('"1\\u001b[31m"', None),
        ('"1\\n2"', None),
        ('"\\ud800"', None),
        ('"1\\u202e2"', None),
        ('"1\\u0000"', None),
    ],
)
@pytest.mark.parametrize("expect", Expect)
def test_a_version_is_taken_only_from_printable_text(value: str, version: str | None, expect: Expect) -> None:
    body = f'{{"ok": true, "version": {value}}}'.encode()
    assert judge_response(200, body, expect) == Reply(Outcome.OK, "", 200, version)


def test_a_failing_body_still_tells_its_version() -> None:
    assert judge_response(200, b'{"ok": false, "version": "7"}', AUTO).version == "7"


def test_expectations_may_be_the_plain_words_of_the_database() -> None:
    words = [cast(Expect, word) for word in ("auto", "json_ok", "http_2xx")]
    assert [judge_response(200, b"fine", word).outcome for word in words] == [
        Outcome.OK,
        Outcome.FAIL,
        Outcome.OK,
    ]


@given(st.integers(100, 999), st.binary(max_size=200), st.sampled_from(Expect))
def test_no_answer_makes_it_raise(status: int, body: bytes, expect: Expect) -> None:
    judged = judge_response(status, body, expect)
    assert judged.http_status == status
    assert (judged.outcome == Outcome.FAIL) == bool(judged.reason)


REASONS = {
    *("refused", "timeout", "tls", "dns", "unreachable", "closed", "bad_response", "redirect", "too_large"),
    *("http_503", "body_not_ok", "bad_json", "start_timeout", "exited", "oom_killed", "missing"),
    *("crash_loop", "engine", "prober"),
}


def test_every_reason_has_a_sentence_of_its_own() -> None:
    sentences = [sentence(reason) for reason in REASONS]
    assert len(set(sentences)) == len(REASONS)
    assert all(text.endswith(".") and "failed: " not in text for text in sentences)
    assert "503" in sentence("http_503")


def test_a_reason_without_a_sentence_is_still_told() -> None:
    assert sentence("") == ""
    assert "solar_flare" in sentence("solar_flare")


def test_the_judgement_needs_the_standard_library_only() -> None:
    tree = ast.parse(Path(response.__file__).read_text())
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    modules |= {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    assert modules <= sys.stdlib_module_names
