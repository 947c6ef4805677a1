"""What lies in the queue and asks for no check of ours stops nothing: it is a task like others, or none."""

from __future__ import annotations

import inspect
import json
from datetime import UTC, datetime
from itertools import product
from typing import Any
from uuid import UUID

import pytest

from instances.checks.check_requests import CheckRequest
from instances.errors import RequestError
from instances.models import Operation, Sweep
from tasks.arguments import PUBLIC, fitting
from tasks.broker.message import read
from tasks.checks import CheckJob
from tasks.many_checks import job_of
from tests.factories import World
from tests.fast.tasks.test_tasks import registered
from tests.rows import row

REQUEST: dict[str, Any] = {
    "instance_id": 1, "customer_id": "c1", "container": "c", "container_id": "c", "url": "http://127.0.0.1:9/",
    "expect": "auto", "engine_url": "unix:///e",
}  # fmt: skip


def raw_message(request: object, body: str | None = None, **headers: object) -> bytes:
    said = json.dumps([[], {"customer_id": "c1", "request": request}, {}])
    own = {"task": "dockmgr.check_health", "ignore_result": True, "id": "1", **headers}
    message = {
        "headers": own, "content-type": "application/json", "properties": {"delivery_tag": "t"},
        "body": said if body is None else body,
    }  # fmt: skip
    return json.dumps(message).encode()


def job(raw: bytes) -> CheckJob | None:
    """What is made of a message where checks are taken many at a time; None where it is a task."""
    known = read(raw)
    assert known and known[0] == "t"
    return job_of(known[1], ()) if known[1] else None


def test_a_request_is_read_as_it_was_written_and_newer_words_are_left_out() -> None:
    request = CheckRequest(**REQUEST, volumes=("v",), engine_tls=("a", "b", "c"), ask={"kind": "tcp"})
    read = job(raw_message({**request.message(), "newer": 1}))
    assert read and read.request == request


ODD: dict[str, object] = {
    "no request": None,
    "a number": 7,
    "a list": [REQUEST],
    "one without its instance": {name: value for name, value in REQUEST.items() if name != "instance_id"},
    "an instance that is no number": {**REQUEST, "instance_id": "1"},
    "a url that is none": {**REQUEST, "url": ["http://127.0.0.1:9/"]},
    "two files where three belong": {**REQUEST, "engine_tls": ["a", "b"]},
}


@pytest.mark.parametrize("request_", ODD.values(), ids=ODD)
def test_what_is_no_request_of_ours_is_left_to_the_task(request_: object) -> None:
    assert job(raw_message(request_)) is None


@pytest.mark.parametrize(
    "body", ["", "{}", "[]", "[[], {}]", "[" * 100_000, '["', "[[], [], {}]", '{"a": "\\ud800"}', "\ud800"]
)
def test_a_body_that_can_not_be_read_is_left_to_the_task(body: str) -> None:
    assert job(raw_message(REQUEST, body)) is None


@pytest.mark.parametrize(
    "headers",
    [
        {"expires": 7},
        {"expires": "soon"},
        {"eta": 1.5},
        {"task": None},
        {"task": "dockmgr.sweep"},
        {"id": 7},
        {"ignore_result": False},
        {"ignore_result": "yes"},
        {"dockmgr_installation": ["other"]},
    ],
    ids=str,
)
def test_headers_that_are_not_ours_leave_it_to_the_task(headers: dict[str, Any]) -> None:
    assert job(raw_message(REQUEST, **headers)) is None


def test_a_moment_without_a_zone_is_one_in_utc() -> None:
    read = job(raw_message(REQUEST, expires="2026-03-01T12:00:00"))
    assert read and read.until == datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "raw",
    [
        *(b"", b"\xff", b"null", b"[]", b"{}", b"[" * 100_000, b'{"properties": {"delivery_tag": 1}}'),
        b'\xef\xbb\xbf{"properties": {"delivery_tag": "t"}}',
        '{"properties": {"delivery_tag": "t"}}'.encode("utf-16"),
        b'{"properties": {"delivery_tag": "t"}, "odd": "\xff"}',
    ],
)
def test_what_is_no_message_has_no_tag(raw: bytes) -> None:
    assert read(raw) is None


NEEDED = {"customer_id": "c1", "subdomain": "c1.example.com", "plan": "pro"}
CALLS: dict[str, tuple[str, dict[str, Any], str]] = {
    "what it does not take": ("dockmgr.restart", {"customer_id": "c1", "nosuch": 1}, "and no 'nosuch'"),
    "nothing": ("dockmgr.restart", {}, "customer_id"),
    "a check of nobody": ("dockmgr.check_health", {}, "customer_id"),
    "a check in odd words": ("dockmgr.check_health", {"customer_id": "c1", "request": {"a": 1}}, "form"),
    "a check in half a letter": ("dockmgr.check_health", {"customer_id": "c1", "request": "\ud800"}, "form"),
    "an id that is no text": ("dockmgr.restart", {"customer_id": "c1", "request_id": 0}, "must be texts"),
    "an image that is no text": ("dockmgr.provision", {**NEEDED, "image": []}, "image reference"),
    "a name that is none": ("dockmgr.sweep", {"requested_by": {"a": 1}}, "must be texts"),
    "an id that is none": ("dockmgr.carry_on", {"operation_id": "x"}, "no operation"),
    "an operation there is none of": ("dockmgr.carry_on", {"operation_id": str(UUID(int=1))}, "no operation"),
    "a message of ours without its id": ("dockmgr.heal", {"newer": 1}, "instance_id"),
    "an instance that is no number": ("dockmgr.heal", {"instance_id": "x"}, "no instance"),
    "a turn that is no number": (
        "dockmgr.carry_out_bulk",
        {"bulk_id": str(UUID(int=1)), "turn": "x"},
        "no turn",
    ),
    "a selection that is none": ("dockmgr.carry_out_bulk", {"bulk_id": "x"}, "no order"),
}


@pytest.mark.django_db
def test_a_call_that_fits_no_task_is_refused_in_a_sentence(world: World) -> None:
    world.instance()
    for case, (name, given, said) in CALLS.items():
        with row(case):
            with pytest.raises(RequestError) as refused:
                registered(name)(**given)
            assert said in str(refused.value) and str(refused.value).endswith(".")
            assert not (Operation.objects.exists() or Sweep.objects.exists())


def every_argument() -> list[tuple[str, str]]:
    """Every argument of every public task."""
    return [
        (name, argument)
        for name in sorted(PUBLIC)
        for argument in inspect.signature(registered(name).run).parameters
        if argument != "slip"  # an odd one is none
    ]


@pytest.mark.django_db
def test_no_argument_of_a_wrong_type_is_taken_for_a_defect(world: World) -> None:
    world.instance()
    for (name, argument), odd in product(every_argument(), (1.5, [7], ["false"])):
        parameters = inspect.signature(registered(name).run).parameters
        needed = {key: NEEDED[key] for key in parameters if key in NEEDED}
        with row(name, argument, odd):
            with pytest.raises(RequestError):
                registered(name)(**{**needed, argument: odd})
            assert not (Operation.objects.exists() or Sweep.objects.exists())


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["dockmgr.heal", "dockmgr.check_health"])
def test_a_message_of_a_newer_release_is_read_as_far_as_it_is_known(name: str) -> None:
    known = {"instance_id": 1} if name == "dockmgr.heal" else {"customer_id": "c1", "request": REQUEST}
    assert fitting(name, registered(name).run, (), {**known, "newer": 1}) == known
