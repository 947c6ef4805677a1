"""One attempt to send, against real HTTP: what arrives, what is refused, how long it takes."""

from __future__ import annotations

import base64
import logging
import ssl
import threading
import uuid
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from instances.alerts.delivery_rules import SENT, DeliveryOutcome, DeliveryResult
from instances.alerts.messages import as_text, blank, digest, plain
from instances.alerts.send import UNUSABLE, check_url, send
from instances.documents import Document
from instances.errors import RequestError
from instances.health.response import sentence
from tests.hostile_server import Behaviour, HostileServer, answer, raw, self_signed, server_tls
from tests.receiver import Receiver, timed
from tests.rows import at_once

LONG = 30.0
SHORT = 0.15
MARGIN = 10.0
SENTINEL = "s3ntinel-Zq8xW"


def a_message(**changes: Any) -> Document:
    return {**blank(uuid.uuid4(), "test", "warning", "Title", "One sentence."), **changes}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.fixture(scope="module", autouse=True)
def plugins_are_loaded() -> None:
    """Once a process, so that no test measures it."""
    check_url("ntfy://127.0.0.1/topic")


def test_a_webhook_receives_the_document_as_it_is(receiver: Receiver) -> None:
    document = a_message(count=2, messages=[{"id": "1"}, {"id": "ü"}])
    assert send(receiver.url(), document, LONG) == SENT
    [got] = receiver.got
    assert (got.method, got.path, got.document) == ("POST", "/hook", document)
    assert (got.headers["Content-Type"], got.headers["User-Agent"]) == ("application/json", "dockmgr")


def test_blanks_around_a_url_are_none_of_it(receiver: Receiver) -> None:
    document = a_message()
    check_url(f" {receiver.url()}\n")
    assert send(f" {receiver.url()}\n", document, LONG) == SENT
    assert receiver.got[0].document == document


def test_what_an_apprise_url_says_is_sent_along(receiver: Receiver) -> None:
    url = f"json://me:p%40ss@127.0.0.1:{receiver.port}/a%20b/c%2Fd?+X-Key=k1&-q=a%20b&:team=ops&method=put"
    assert send(url, a_message(), LONG) == SENT
    [got] = receiver.got
    assert (got.method, got.path) == ("PUT", "/a%20b/c%2Fd?q=a+b")
    assert got.headers["X-Key"] == "k1"
    assert base64.b64decode(got.headers["Authorization"].removeprefix("Basic ")) == b"me:p@ss"
    assert (got.document["team"], got.document["title"]) == ("ops", "Title")


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(204, "sent"), (500, "transient"), (302, "transient"), (410, "permanent"), (404, "permanent")],
)
def test_the_status_decides(receiver: Receiver, status: int, outcome: str) -> None:
    receiver.behaviour = status
    receiver.headers["Location"] = receiver.url("/elsewhere").replace("json:", "http:")
    assert send(receiver.url(), a_message(), LONG).outcome == outcome
    assert len(receiver.got) == 1, "a redirect was followed"


def test_the_wait_a_receiver_asks_for_is_told(receiver: Receiver) -> None:
    receiver.behaviour, receiver.headers = 429, {"Retry-After": "42"}
    expected = DeliveryResult(DeliveryOutcome.TRANSIENT, "The receiver answered with HTTP status 429.", 42)
    assert send(receiver.url(), a_message(), LONG) == expected


def test_an_attempt_ends_in_time_whatever_the_receiver_does() -> None:
    def case(how: tuple[str, str]) -> None:
        behaviour, scheme = how
        with Receiver(behaviour) as receiver:
            result, seconds = timed(lambda: send(receiver.url().replace("json", scheme), a_message(), SHORT))
        assert result == DeliveryResult(DeliveryOutcome.TRANSIENT, "No complete answer came in time.")
        assert seconds < SHORT + MARGIN
        assert len(receiver.got) == 1

    at_once(list(product(("hang", "drip"), ("json", "ntfy"))), case)


def test_an_attempt_that_took_too_long_leaves_no_thread_behind() -> None:
    def case(receiver: Receiver) -> None:
        send(receiver.url(), a_message(), SHORT)

    with Receiver("hang") as hanging, Receiver("drip") as dripping:
        at_once([hanging, dripping], case)
        wait_for_threads()


def wait_for_threads() -> None:
    for thread in threading.enumerate():
        if thread.name == "within" and thread.daemon:
            thread.join(timeout=LONG)
            assert not thread.is_alive()


def test_a_receiver_that_hangs_up_may_be_tried_again(receiver: Receiver) -> None:
    receiver.behaviour = "close"
    result = send(receiver.url(), a_message(), LONG)
    assert result == DeliveryResult(
        DeliveryOutcome.TRANSIENT, "The connection was closed without a complete answer."
    )


def test_a_receiver_that_is_not_there_may_be_tried_again() -> None:
    with Receiver() as gone:
        url = gone.url()
    result = send(url, a_message(), LONG)
    assert (result.outcome, result.error) == (
        DeliveryOutcome.TRANSIENT, "The connection was refused: nothing listens on the port.",
    )  # fmt: skip


@pytest.mark.parametrize("behaviour", ["another protocol", "an endless header"])
def test_what_is_not_http_may_be_tried_again(behaviour: str) -> None:
    with HostileServer(behaviour) as server:
        result, seconds = timed(
            lambda: send(server.url().replace("http", "json"), a_message(), LONG)
        )  # fmt: skip
    assert (result.outcome, result.error) == (DeliveryOutcome.TRANSIENT, "The answer is not HTTP.")
    assert seconds < LONG


@pytest.mark.parametrize("location", ["http://[", "http://h:port/", "\xff", "ftp://elsewhere/", ""])
def test_a_redirect_that_makes_no_sense_may_be_tried_again(location: str) -> None:
    with HostileServer(redirect(location)) as server:
        result = send(server.url().replace("http", "json"), a_message(), LONG)
    assert result == DeliveryResult(DeliveryOutcome.TRANSIENT, "The receiver answered with HTTP status 302.")


def redirect(location: str) -> Behaviour:
    return raw(f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode("latin-1"))


def test_lengths_that_contradict_each_other_may_be_tried_again() -> None:
    with HostileServer(answer(b"", headers="Content-Length: 5\r\n")) as server:
        result = send(server.url().replace("http", "json"), a_message(), LONG)
    assert result == DeliveryResult(DeliveryOutcome.TRANSIENT, "The answer is not HTTP.")


def test_a_certificate_nobody_vouches_for_is_refused_unless_told_otherwise(tmp_path: Path) -> None:
    context: ssl.SSLContext = server_tls(self_signed(tmp_path))
    with Receiver(tls=context) as secured:
        refused = send(secured.url(), a_message(), LONG)
        assert (refused.outcome, secured.got) == (DeliveryOutcome.TRANSIENT, [])
        assert refused.error == "The TLS connection could not be trusted or established."
        assert send(secured.url("/hook?verify=no"), a_message(), LONG) == SENT


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        ("json://receiver.example/hook", b"POST http://receiver.example/hook "),
        ("jsons://receiver.example/hook", b"CONNECT receiver.example:443 "),
    ],
)
def test_proxies_of_the_environment_are_used(url: str, asked: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    with HostileServer(answer(b"", "503 Service Unavailable")) as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, proxy.url(""))
        assert send(url, a_message(), LONG).outcome is DeliveryOutcome.TRANSIENT
    assert proxy.requests[0].startswith(asked)


def test_what_no_proxy_names_is_asked_directly(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    assert send(receiver.url(), a_message(), LONG).error.startswith("The connection was refused")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert send(receiver.url(), a_message(), LONG) == SENT


UNUSABLE_URLS = [
    "bogus://x",
    "json://",
    "json://127.0.0.1/?method=steal",
    "json://127.0.0.1:{port}/?+X-Bad=a%0Ab",
    "json://127.0.0.1:{port}/?+X-Bad=%E2%82%AC",
    "json://127.0.0.1:{port}/?+X-%C3%BC=a",
    "discord://x",
    "no url at all",
    "",
]


@pytest.mark.parametrize("url", UNUSABLE_URLS)
def test_a_url_that_leads_nowhere_is_refused_for_good(receiver: Receiver, url: str) -> None:
    assert send(url.format(port=receiver.port), a_message(), LONG) == DeliveryResult(
        DeliveryOutcome.PERMANENT, UNUSABLE
    )
    assert receiver.got == []


def test_a_url_can_be_checked_without_sending(receiver: Receiver) -> None:
    check_url(receiver.url())
    check_url("discord://webhook-id-of-many/webhook-token-of-many")
    for useless in (
        "bogus://x",
        "json://127.0.0.1:99999/hook",
        "ntfys://ntfy.example.com:65536/topic",
        f"{receiver.url()}?+X-Team=日本",
        f"{receiver.url()}?+X%0d%0aA=1",
    ):
        with pytest.raises(RequestError, match="not one that messages can be sent to"):
            check_url(useless)
    assert receiver.got == []


def test_other_services_receive_text(receiver: Receiver) -> None:
    document = a_message(level="critical", link="https://dockmgr.example.com/x")
    assert send(receiver.url("/topic").replace("json", "ntfy"), document, LONG) == SENT
    [got] = receiver.got
    assert got.document["title"] == "[critical] Title"
    assert (
        got.document["message"] == "One sentence.\nNothing needs to be done.\nhttps://dockmgr.example.com/x"
    )


def test_what_a_customers_program_wrote_calls_nobody_to_a_chat(receiver: Receiver) -> None:
    lines = ["@everyone look", "<!channel> <at user_id='all'>", "[bill](https://x.example)", "plain"]
    told = a_message(message="It wrote: @here", last_lines=lines)
    assert send(receiver.url("/topic").replace("json", "ntfy"), told, LONG) == SENT
    text = receiver.got[0].document["message"]
    assert not any(call in text for call in ("@here", "@everyone", "<!channel>", "<at ", "]("))
    assert text.replace("\u200b", "").splitlines()[1:5] == [f"| {line}" for line in lines]


def test_a_long_digest_is_short_as_text(receiver: Receiver) -> None:
    parts = [a_message(title=f"customer-{number:02} on a-host is still down") for number in range(60)]
    assert send(receiver.url("/topic").replace("json", "ntfy"), digest(uuid.uuid4(), parts), LONG) == SENT
    text = receiver.got[0].document["message"]
    assert text.startswith("- customer-00 on a-host is still down\n- customer-01")
    assert text.endswith(
        "- customer-19 on a-host is still down\n… and 40 more\n"
        "See what is open with `manage.py incidents --open`."
    )
    assert len(as_text(digest(uuid.uuid4(), [a_message(title="x" * 400)] * 60))[1]) == 1500


def test_the_plain_form_of_a_message_holds_nothing_long_or_odd_wherever_it_stands() -> None:
    operation = {"error": "Größe ✗ " * 99, "changed": True, "steps": [{"detail": "ü" * 999}]}
    told = a_message(title="✗", last_lines=["ü"], messages=[{"title": "ü"}], operation=operation)
    short = plain(told)
    assert (short["id"], short["title"], short["level"], short["since"]) == (told["id"], "?", "warning", None)
    assert short["last_lines"] == short["messages"] == short["operation"]["steps"] == []
    assert short["operation"]["changed"] is True
    assert short["operation"]["error"] == ("Gr??e ? " * 99)[:200]


def test_text_too_long_for_a_service_is_cut(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apprise.plugins.ntfy.NotifyNtfy.body_maxlen", 50)
    long = a_message(message="word " * 100)
    assert send(receiver.url("/topic").replace("json", "ntfy"), long, LONG) == SENT
    [got] = receiver.got
    assert len(got.document["message"]) <= 50


@pytest.mark.parametrize(("status", "outcome"), [(500, "transient"), (429, "transient"), (403, "permanent")])
def test_the_status_other_services_answer_with_decides(receiver: Receiver, status: int, outcome: str) -> None:
    receiver.behaviour = status
    result = send(receiver.url("/topic").replace("json", "ntfy"), a_message(), LONG)
    assert (result.outcome, result.error) == (outcome, f"The receiver answered with HTTP status {status}.")


@pytest.mark.parametrize(
    ("answers", "outcome"),
    [
        ([404, 404], "permanent"),
        ([404, 503], "transient"),
        ([503, 404], "transient"),
    ],
)
def test_a_url_of_several_receivers_is_refused_for_good_when_nothing_can_pass(
    receiver: Receiver, answers: list[int | str], outcome: str
) -> None:
    receiver.first = answers
    assert send(receiver.url("/one/two").replace("json", "ntfy"), a_message(), LONG).outcome == outcome
    assert len(receiver.got) == 2


def test_another_service_that_is_not_there_may_be_tried_again(tmp_path: Path) -> None:
    with Receiver() as gone:
        url = gone.url("/topic").replace("json", "ntfy")
    told = {"refused": url, "dns": "ntfy://nowhere.invalid/topic"}
    with Receiver(tls=server_tls(self_signed(tmp_path))) as secured:
        told["tls"] = secured.url("/topic").replace("json", "ntfy")
        for why, where in told.items():
            assert send(where, a_message(), LONG) == DeliveryResult(DeliveryOutcome.TRANSIENT, sentence(why))


@pytest.fixture
def printed() -> Iterator[list[str]]:
    """All that would reach the log if it were set to tell everything."""
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(handler.format(record))  # type: ignore[method-assign]
    root, level = logging.getLogger(), logging.getLogger().level
    for logger in (root, logging.getLogger("urllib3")):
        logger.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield lines
    root.setLevel(level)
    for logger in (root, logging.getLogger("urllib3")):
        logger.removeHandler(handler)


PLACES = "json://u:{s}@127.0.0.1:{p}/{s}?+X-{s}={s}&-k={s}", "ntfy://u:{s}@127.0.0.1:{p}/{s}"


def test_no_part_of_the_url_is_logged_or_returned(printed: list[str]) -> None:
    def case(how: tuple[int | str, str]) -> None:
        behaviour, place = how
        with Receiver(behaviour) as receiver:
            patience = SHORT if behaviour == "hang" else LONG
            result = send(place.format(s=SENTINEL, p=receiver.port), a_message(), patience)
        assert len(receiver.got) == 1
        assert SENTINEL in receiver.got[0].path + str(receiver.got[0].body)
        for text in (str(result), *printed):
            assert SENTINEL not in text
            assert str(receiver.port) not in text

    behaviours: list[int | str] = [200, 410, 500, "close", "hang"]
    at_once(list(product(behaviours, PLACES)), case)


def test_an_answer_that_the_library_finds_odd_is_not_logged(printed: list[str]) -> None:
    with HostileServer("a garbage header") as server:
        assert send(f"{server.url(f'/{SENTINEL}').replace('http', 'json')}", a_message(), LONG) == SENT
    assert printed == []


def test_an_untrusted_certificate_is_taken_without_a_warning(
    tmp_path: Path, printed: list[str], recwarn: pytest.WarningsRecorder
) -> None:
    with Receiver(tls=server_tls(self_signed(tmp_path))) as secured:
        assert send(secured.url("/hook?verify=no"), a_message(), LONG) == SENT
    assert printed == [str(warning.message) for warning in recwarn] == []


@pytest.mark.parametrize("url", [f"bogus://{SENTINEL}", f"discord://{SENTINEL}", f"json://[{SENTINEL}/"])
def test_a_url_that_is_refused_is_not_shown(url: str, printed: list[str]) -> None:
    with pytest.raises(RequestError) as refused:
        check_url(url)
    assert SENTINEL not in f"{refused.value} {send(url, a_message(), SHORT)} {printed}"
