"""What is hidden without being told the secret, in text and in log records, and what stays readable."""

from __future__ import annotations

import logging

import pytest

from instances.lib.redact import GENERAL, MARK, RedactingFilter

KEY_FRAME = ("-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----")
PEM = f"{KEY_FRAME[0]}\nMIIEvQIBADANBgkqhkiG9w0BAQ\nEFAASCBKcwggSjAgEAAoIBAQC7\n{KEY_FRAME[1]}\n"


def case(name: str, *values: object) -> object:
    return pytest.param(*values, id=name)


GENERAL_CASES = [
    case("authorization_bearer", "Authorization: Bearer x", f"Authorization: Bearer {MARK}"),
    case("authorization_basic", "'Authorization: Basic dTpw'", f"'Authorization: Basic {MARK}'"),
    case("authorization_bare", "authorization: abc123", f"authorization: {MARK}"),
    case(
        "authorization_json", '{"Authorization":"Token t","a":1}', f'{{"Authorization":"Token {MARK}","a":1}}'
    ),
    case("bearer", "sent Bearer abc.def, ok", f"sent Bearer {MARK}, ok"),
    case("bearer_url_quoted", "q=bearer%20abc", f"q=bearer%20{MARK}"),
    case("header_pair", "('x', 'Basic dTpw')", f"('x', 'Basic {MARK}')"),
    case("url_password", "redis://user:pw@host:1/0", f"redis://{MARK}@host:1/0"),
    case("url_password_only", "redis://:pw@host", f"redis://{MARK}@host"),
    case("url_at_sign_in_password", "amqp://u:p@w@host", f"amqp://{MARK}@host"),
    case("url_token_as_user", "https://tok123@git.host/x", f"https://{MARK}@git.host/x"),
    case("ssh_password", "ssh://u:pw@host", f"ssh://{MARK}@host"),
    case("env", "API_KEY=abc123 next", f"API_KEY={MARK} next"),
    case("env_lower_case", "db_password=abc123", f"db_password={MARK}"),
    case("env_passwd", "PASSWD=a", f"PASSWD={MARK}"),
    case("env_spaces", "my.secret.x = a,b;c", f"my.secret.x = {MARK}"),
    case("env_quoted", "PASSWORD='a b' c", f"PASSWORD='{MARK}' c"),
    case("env_unclosed_quote", 'TOKEN="abc def', f'TOKEN="{MARK}'),
    case("env_short_number", "PASSWORD=1234", f"PASSWORD={MARK}"),
    case("query", "/x?token=abc&user=bob", f"/x?token={MARK}&user=bob"),
    case("query_quoted", "%3Ftoken%3Dabc%26a%3D1", f"%3Ftoken%3D{MARK}%26a%3D1"),
    case("url_in_url", "dsn=amqp%3A%2F%2Fu%3Apw%40host%2Fx", f"dsn=amqp%3A%2F%2F{MARK}%40host%2Fx"),
    case("url_in_json_of_php", r'"redis:\/\/user:pw@host"', rf'"redis:\/\/{MARK}@host"'),
    case("header_quoted", "Authorization%3A%20Basic%20dTpw", f"Authorization%3A%20Basic%20{MARK}"),
    case("json", '{"private_id": "abc", "b": 1}', f'{{"private_id": "{MARK}", "b": 1}}'),
    case("json_escaped_quote", r'{"key": "a\"bc"}', f'{{"key": "{MARK}"}}'),
    case("json_in_json", r'"{\"key\": \"a\\\"b\", \"c\": 1}"', rf'"{{\"key\": \"{MARK}\", \"c\": 1}}"'),
    case("json_of_a_comparison", r'"if key == \"a\": go"', rf'"if key == \"{MARK}\": go"'),
    case("dict_repr", "{'CREDENTIALS': b'abc', 'x': 1}", f"{{'CREDENTIALS': b'{MARK}', 'x': 1}}"),
    case("ruby_hash", '"secret"=>"abc"', f'"secret"=>"{MARK}"'),
    case("yaml", "password: hunter2", f"password: {MARK}"),
    case("header", "X-Api-Key: abc", f"X-Api-Key: {MARK}"),
    case("call", "login(token=abc)", f"login(token={MARK})"),
    case("openai_key", "key sk-proj-abcdefghijklmnop1234 bad", f"key {MARK} bad"),
    case("token_of_our_own", f"revoke dm_{'aB-_' * 10}xyz now", f"revoke {MARK} now"),
    case("key_after_colour", "\x1b[31msk-" + "a" * 20, f"\x1b[31m{MARK}"),
    case("key_after_escaped_newline", r"\nsk-" + "a" * 20, rf"\n{MARK}"),
    case("github", "ghp_" + "a" * 36, MARK),
    case("aws", "id AKIAIOSFODNN7EXAMPLE", f"id {MARK}"),
    case("telegram", "/bot123456789:AA" + "x" * 33 + "/getMe", f"/bot{MARK}/getMe"),
    case("jwt", "got eyJhbGciOiJI.eyJzdWIiOiIx.c2ln-_nat ok", f"got {MARK} ok"),
    case("pem", PEM.replace("\n", "\\n"), f"-----BEGIN PRIVATE KEY-----{MARK}-----END PRIVATE KEY-----\\n"),
    case("pem_lines", PEM, f"-----BEGIN PRIVATE KEY-----{MARK}-----END PRIVATE KEY-----\n"),
]


@pytest.mark.parametrize(("text", "expected"), GENERAL_CASES)
def test_what_looks_like_a_secret_is_hidden_without_knowing_it(text: str, expected: str) -> None:
    assert GENERAL.text(text) == expected
    assert GENERAL.text(expected) == expected


HARMLESS = [
    case("empty", ""),
    case("plain", "2026-02-03T11:22:33Z INFO listening on http://0.0.0.0:8080/healthz"),
    case("key_error", "KeyError: 'GATEWAY'"),
    case("token_exception", "InvalidTokenException: it expired"),
    case("counts", '{"max_tokens": 128000, "prompt_tokens":12, "key_count": 3}'),
    case("flags", '{"token": null, "password":false} secret=True private: none'),
    case("nested", '{"tokens": {"in": 5}}'),
    case("host_and_port", "http://token-service:8080/x"),
    case("ssh_user", "ssh://deploy@host-1"),
    case("prose", "bearer token missing, bearer authentication needed"),
    case("longer_word", "task-abcdefghijklmnopqrstuvwxyz"),
    case("one_part_of_a_jwt", "eyJhbGciOiJIUzI1NiJ9 is a header"),
    case("mail_address", "mail ops@example.com, see http://example.com/@ops"),
]


@pytest.mark.parametrize("text", HARMLESS)
def test_harmless_text_stays_as_it_is(text: str) -> None:
    assert GENERAL.text(text) == text


def filtered(msg: object, *args: object, error: BaseException | None = None, stack: str | None = None) -> str:
    exc_info = (type(error), error, error.__traceback__) if error else None
    record = logging.LogRecord("test", logging.INFO, "", 0, msg, args, exc_info, sinfo=stack)
    assert RedactingFilter().filter(record) is True
    return logging.Formatter("%(message)s").format(record)


def test_log_records_are_redacted_after_formatting() -> None:
    assert filtered("token=%s in %d s", "abc", 3) == f"token={MARK} in 3 s"


def test_harmless_log_records_keep_their_arguments() -> None:
    record = logging.makeLogRecord({"msg": "took %d s, 100 %%", "args": (3,)})
    RedactingFilter().filter(record)
    assert (record.args, record.getMessage()) == ((3,), "took 3 s, 100 %")


def test_exception_text_and_stack_of_log_records_are_redacted() -> None:
    error = RuntimeError("no login at redis://u:pw@host")
    text = filtered("failed", error=error, stack="API_KEY=abc")
    assert f"RuntimeError: no login at redis://{MARK}@host" in text
    assert f"API_KEY={MARK}" in text
    assert "pw" not in text


class Unprintable:
    def __str__(self) -> str:
        raise ValueError("token=abc")


ODD = [
    case("too_few", "a %s %s", ("token=abc",), "a %s %s [arguments left out: TypeError]"),
    case("wrong_kind", "a %d", ("token=abc",), "a %d [arguments left out: TypeError]"),
    case("missing_name", "a %(b)s", ({"token": "abc"},), "a %(b)s [arguments left out: KeyError]"),
    case("unprintable_argument", "a %s", (Unprintable(),), "a %s [arguments left out: ValueError]"),
    case("unprintable_message", Unprintable(), (), "Unprintable [arguments left out: ValueError]"),
    case("no_string", {"token": "abc"}, (), f"{{'token': '{MARK}'}}"),
]


@pytest.mark.parametrize(("msg", "args", "expected"), ODD)
def test_odd_log_arguments_neither_fail_nor_leak(
    msg: object, args: tuple[object, ...], expected: str
) -> None:
    assert filtered(msg, *args) == expected
