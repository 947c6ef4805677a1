"""Over HTTP: whatever goes wrong is a problem document in one sentence, with nothing of what was sent."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.db import OperationalError
from pytest_django.fixtures import Settings

from instances import lookup
from instances.api import streams
from instances.api.routes import fleet
from instances.models import AuditEntry, Instance, Operation
from tests.factories import SECRET, World
from tests.rows import row
from tests.web.callers import OVER_HTTP, Caller, a_caller

pytestmark = OVER_HTTP
NEW = {"customer_id": "new", "subdomain": "new.example.com", "plan": "pro", "env": {"API_KEY": SECRET}}


def test_what_is_refused_says_what_is_needed(world: World, caller: Caller) -> None:
    nobody = caller.post("/instances/c1/restart", authorization="")
    assert (nobody.status, nobody.kind) == (401, "unauthenticated")
    assert nobody.headers["WWW-Authenticate"].startswith("Bearer")
    reader = a_caller(world, "read").post("/instances/c1/restart")
    assert (reader.status, reader.kind) == (403, "forbidden")
    assert reader.document["detail"] == "This needs a token of scope operate; read has read."
    assert "WWW-Authenticate" not in reader.headers


AUTHORIZATIONS = [
    "", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz", "Bearer dm_wrong", f"Bearer dm_{'A' * 43}",
    "Token {0}", "{0}", "Bearer {0} ", "Bearer {0}x", "Bearer  {0}",
]  # fmt: skip


@pytest.mark.parametrize("form", AUTHORIZATIONS)
def test_only_the_whole_token_opens(world: World, caller: Caller, form: str) -> None:
    answer = caller.get("/instances", authorization=form.format(caller.text))
    assert (answer.status, answer.kind) == (401, "unauthenticated")
    assert caller.text not in answer.text


MALFORMED: list[tuple[str, str, Any, str]] = [
    ("GET", "/instances?limit=0", None, "query.limit"),
    ("GET", "/instances?limit=201", None, "query.limit"),
    ("GET", "/instances?limit=ten", None, "query.limit"),
    ("GET", "/instances?status=broken", None, "query.status"),
    ("GET", "/instances?cursor=A_B", None, "query.cursor"),
    ("GET", "/instances?q=%00", None, "query.q"),
    ("GET", "/instances?q=%25", None, "query.q"),
    ("GET", "/instances?plan=a%00b", None, "query.plan"),
    ("GET", "/instances/A_B", None, "path.customer_id"),
    ("GET", "/instances/%00", None, "path.customer_id"),
    ("GET", "/instances/%E2%82%AC", None, "path.customer_id"),
    ("GET", "/instances/%ff%fe", None, "path.customer_id"),
    ("GET", "/instances/c1/history?since=yesterday", None, "query.since"),
    ("GET", "/instances/c1/history?since=2026-03-01T12:00:00", None, "query.since"),
    ("GET", "/instances/c1/history?cursor=1.x", None, "query.cursor"),
    ("GET", "/instances/c1/history/sums?since=soon", None, "query.since"),
    ("GET", "/instances/c1/history/sums?by=week", None, "query.by"),
    ("GET", "/instances/c1/logs?lines=0", None, "query.lines"),
    ("GET", "/instances/c1/logs?lines=10001", None, "query.lines"),
    ("GET", "/operations?cursor=99999999999999999.00", None, "query.cursor"),
    ("GET", "/operations/not-a-uuid", None, "path.operation_id"),
    ("POST", "/incidents/9223372036854775808/acknowledge", None, "path.incident_id"),
    ("POST", "/incidents/0/acknowledge", None, "path.incident_id"),
    ("GET", "/deployments/a_b.example.com/validation", None, "path.subdomain"),
    ("DELETE", "/instances/c1?purge_data=perhaps", None, "query.purge_data"),
    ("POST", "/instances/c1/restart", [], "body"),
    ("POST", "/instances/c1/restart", "7", "body"),
    ("POST", "/instances/c1/restart", {"why": "x"}, "body.why"),
    ("POST", "/instances/c1/restart", {"reason": "a\0b"}, "body.reason"),
    ("POST", "/instances/c1/restart", r'{"reason": "\ud800"}', "body.reason"),
    ("POST", "/instances/c1/restart", {"reason": "x" * 256}, "body.reason"),
    ("POST", "/instances/c1/restart", {"with_empty_data": "yes"}, "body.with_empty_data"),
    ("POST", "/instances", NEW | {"fresh": "on"}, "body.fresh"),
    ("POST", "/instances", NEW | {"keep_data": 1}, "body.keep_data"),
    ("POST", "/instances/c1/update", {"image": "a b"}, "body.image"),
    ("POST", "/instances", None, "body"),
    ("POST", "/instances", NEW | {"customer_id": "-"}, "body.customer_id"),
    ("POST", "/instances", NEW | {"subdomain": "x" * 300}, "body.subdomain"),
    ("POST", "/instances", NEW | {"env": {"API_KEY": f"{SECRET}\0"}}, "body.env"),
    ("POST", "/instances", NEW | {"env": {"API_KEY": [SECRET]}}, "body.env.API_KEY"),
    ("POST", "/instances", NEW | {"env": {f"A={SECRET}": "x"}}, "body.env"),
    ("POST", "/instances", NEW | {"env": SECRET}, "body.env"),
    ("POST", "/instances", NEW | {SECRET: "x"}, "body"),
    ("POST", "/test-deployments", {"plan": "p\n"}, "body.plan"),
    ("POST", "/test-deployments", r'{"plan": "\ud800"}', "body.plan"),
]


def test_what_is_malformed_is_named_and_not_echoed(world: World, caller: Caller) -> None:
    world.instance("c1")
    for method, path, body, location in MALFORMED:
        with row(method, path, body):
            answer = caller.ask(method, path, body)
            assert (answer.status, answer.kind) == (422, "malformed")
            assert location in [error["location"] for error in answer.document["errors"]]
            assert SECRET not in answer.text
    assert (Operation.objects.count(), AuditEntry.objects.count()) == (0, 0)


@pytest.mark.parametrize("key", ["%F0%9F%98%80", "%0a", "s3cret"])
@pytest.mark.parametrize("path", ["/operations/{}", "/operations/{}/log", "/test-deployments/{}"])
def test_no_character_of_a_malformed_id_is_echoed(caller: Caller, path: str, key: str) -> None:
    [error] = caller.get(path.format(key)).document["errors"]
    assert error["message"] == "Input should be a valid UUID"


def test_a_malformed_key_is_refused(world: World, caller: Caller) -> None:
    world.instance("c1")
    for key in ("a b", "x" * 101, "ü"):
        assert caller.post("/instances/c1/restart", key=key).document["errors"][0]["location"] == (
            "header.Idempotency-Key"
        )


@pytest.mark.parametrize("path", ["/instances?statuss=failed", "/instances/c1?x=1", "/operations/?=1"])
def test_a_misspelt_filter_does_not_show_everything(world: World, caller: Caller, path: str) -> None:
    world.instance("c1")
    answer = caller.get(path)
    assert answer.status in (404, 422)
    assert "items" not in answer.document


@pytest.mark.parametrize(
    "path", ["/instances?status=failed&status=unhealthy", "/incidents?open=false&open=true"]
)
def test_a_filter_that_is_given_twice_does_not_show_one_half(world: World, caller: Caller, path: str) -> None:
    answer = caller.get(path)
    assert (answer.status, answer.kind) == (422, "malformed")
    assert answer.document["detail"].endswith("is given more than once.")


@pytest.mark.parametrize(
    ("body", "status"), [({"purge_data": True}, 422), (b"purge_data=true", 422), ({}, 202), (b"", 202)]
)
def test_a_wish_to_purge_data_in_a_body_is_not_passed_over(
    world: World, caller: Caller, sent: Any, body: Any, status: int
) -> None:
    world.instance("c1")
    assert caller.ask("DELETE", "/instances/c1", body).status == status
    assert Operation.objects.exists() == (status == 202)


UNREADABLE = [b"{", b"\xff\xfe", b'{"reason": NaN', b"[" * 60_000, b'{"reason": ' + b"1" * 5000 + b"}"]
UNREADABLE.append(b'{"reason": "the first", "reason": "the second"}')


@pytest.mark.parametrize("body", UNREADABLE)
def test_a_body_that_is_no_json_is_400(world: World, caller: Caller, body: bytes) -> None:
    world.instance("c1")
    answer = caller.post("/instances/c1/restart", body)
    assert (answer.status, answer.kind) == (400, "unreadable")


@pytest.mark.parametrize("length", ["65537", "9" * 400, "-1", "many"])
def test_a_body_over_64_kib_is_413_before_it_is_read(world: World, caller: Caller, length: str) -> None:
    response = caller.client.post(
        "/api/v1/instances", b"x", content_type="application/json", CONTENT_LENGTH=length
    )
    assert (response.status_code, response.json()["type"]) == (413, "urn:dockmgr:problem:too-large")


@pytest.mark.parametrize("path", ["/instances/c1/restart", "/instances"])
def test_a_body_in_chunks_is_refused_and_not_taken_for_none(world: World, caller: Caller, path: str) -> None:
    world.instance("c1")
    headers = {"Transfer-Encoding": "chunked", "Authorization": f"Bearer {caller.text}"}
    response = caller.client.post(f"/api/v1{path}", b"{}", content_type="application/json", headers=headers)
    assert (response.status_code, response.json()["type"]) == (411, "urn:dockmgr:problem:no-length")
    assert not Operation.objects.exists()


def test_a_body_of_64_kib_is_read(world: World, caller: Caller) -> None:
    assert caller.post("/instances", b" " * 65535 + b"{").status == 400


@pytest.mark.parametrize("path", ["/", "/nothing", "/instances/", "/instances//check", "/instances/c1/a/b"])
def test_an_unknown_address_is_404(world: World, caller: Caller, path: str) -> None:
    answer = caller.get(path)
    assert (answer.status, answer.kind) == (404, "unknown")


def test_a_wrong_method_is_405_and_names_the_right_ones(world: World, caller: Caller) -> None:
    answer = caller.ask("PUT", "/instances")
    assert (answer.status, answer.kind) == (405, "method")
    assert {word.strip() for word in answer.headers["Allow"].split(",")} == {"GET", "HEAD", "POST"}


def test_head_is_answered_as_get_is_without_the_content(world: World, caller: Caller) -> None:
    world.instance("c1")
    for path in ("/instances?limit=1", "/instances/c1", "/instances/c2", "/usage?x=1", "/openapi.json"):
        got, head = caller.get(path), caller.ask("HEAD", path)
        own = {"RateLimit-Remaining": ""}
        assert (head.status, head.text, head.headers | own) == (got.status, "", got.headers | own), path
    assert caller.ask("HEAD", "/instances/c1/restart").status == 405
    before = streams.PLACES.taken()
    stream = caller.ask("HEAD", "/events")
    assert (stream.status, stream.text, streams.PLACES.taken()) == (200, "", before)


def test_a_change_over_plain_http_is_refused_where_a_redirect_would_make_it_a_look(
    world: World, caller: Caller, settings: Settings
) -> None:
    settings.SECURE_SSL_REDIRECT = True
    refused = caller.post("/instances", {"customer_id": "new", "subdomain": "new.example.com", "plan": "pro"})
    assert (refused.status, refused.kind) == (400, "unreadable") and "HTTPS" in refused.document["detail"]
    assert (caller.get("/instances").status, caller.ask("HEAD", "/instances").status) == (301, 301)
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    assert caller.post("/instances/c1/pause", **{"x-forwarded-proto": "https"}).status == 404


def test_a_change_at_a_wrong_address_is_not_blamed_on_the_want_of_https(
    world: World, caller: Caller, settings: Settings
) -> None:
    settings.SECURE_SSL_REDIRECT = False
    assert "HTTPS" not in caller.post("").text


def test_an_unknown_host_name_is_a_problem_too(world: World, caller: Caller) -> None:
    answer = caller.get("/instances", host="evil.example.com")
    assert (answer.status, answer.kind) == (400, "unreadable")


def test_a_defect_is_500_without_a_trace_of_itself(
    world: World, caller: Caller, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    def broken(_: object) -> None:
        raise RuntimeError(f"no {SECRET}")

    monkeypatch.setattr(fleet, "present", broken)
    for settings.DEBUG in (False, True):
        answer = caller.get("/instances/c1")
        assert (answer.status, answer.kind) == (500, "defect")
        assert SECRET not in answer.text
        assert "Traceback" not in answer.text


@pytest.mark.parametrize("sentence", ["connection refused", "no such table: instances_instance"])
def test_a_database_out_of_reach_is_503(
    world: World, caller: Caller, monkeypatch: pytest.MonkeyPatch, sentence: str
) -> None:
    def lost(*_: object) -> None:
        raise OperationalError(sentence)

    monkeypatch.setattr(lookup, "instance", lost)
    answer = caller.get("/instances/c1")
    assert (answer.status, answer.kind, answer.headers["Retry-After"]) == (503, "out-of-reach", "10")
    assert sentence not in answer.text


def test_an_instance_whose_secret_lacks_its_key_is_shown_like_any_other(
    world: World, caller: Caller, settings: Settings
) -> None:
    world.instance("c1")
    settings.ENCRYPTION_KEYS = [Fernet.generate_key()]
    shown = caller.get("/instances/c1")
    assert (shown.status, SECRET in str(shown)) == (200, False)
    assert Instance.objects.count() == 1
