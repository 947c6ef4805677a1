"""What services answer beyond a status: refusals inside an answer 200, and when to try again."""

from __future__ import annotations

import base64
import json
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from socket import socket
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from instances.alerts.answers import MOST_TAKEN
from instances.alerts.delivery_rules import NOT_TAKEN, PARTLY, REFUSED_WITH_200, SENT, DeliveryResult
from instances.alerts.messages import blank
from instances.alerts.outbox import deliver
from instances.alerts.refusals import Code, refusal_in
from instances.alerts.send import MOST_UNDER_WAY, NO_ANSWER, check_url, send
from instances.documents import Document
from instances.errors import RequestError
from instances.health.response import sentence
from instances.models import Notification
from tasks.inspection import try_channel
from tests.factories import World
from tests.fakes.outside import FakeClock
from tests.fast.delivering import rows_of
from tests.fast.telling import a_channel
from tests.hostile_server import Behaviour, HostileServer, answer, close_at_once, drip, flood
from tests.mail_server import MailServer
from tests.receiver import Receiver
from tests.rows import at_once

LONG = 30.0
# By the plugin: its class, the address it asks, and a URL of a channel.
SERVICES = {
    "dingtalk": ("NotifyDingTalk", "?token={token}", f"dingtalk://{'a' * 64}"),
    "wecombot": ("NotifyWeComBot", "?key={key}", f"wecombot://{'a' * 32}"),
    "feishu": ("NotifyFeishu", "{token}/", f"feishu://{'a' * 36}"),
    "lark": ("NotifyLark", "", f"lark://{'a' * 36}"),
}


@pytest.fixture(scope="module", autouse=True)
def plugins_are_loaded() -> None:
    check_url("ntfy://127.0.0.1/topic")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


def a_message() -> Document:
    return blank(uuid.uuid4(), "test", "warning", "Title", "One sentence.")


def told(service: str, said: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """Outcome and error of a message to a service whose answer 200 says that."""
    plugin, address, url = SERVICES[service]
    with HostileServer(answer(json.dumps(said).encode())) as server:
        monkeypatch.setattr(f"apprise.plugins.{service}.{plugin}.notify_url", server.url("/") + address)
        result = send(url, a_message(), LONG)
    return result.outcome.value, result.error


@pytest.mark.parametrize(
    ("service", "said", "outcome", "code"),
    [
        ("dingtalk", {"errcode": 310000, "errmsg": "keywords not in content"}, "message_refused", 310000),
        ("dingtalk", {"errcode": 130101, "errmsg": "send too fast"}, "transient", 130101),
        ("wecombot", {"errcode": 93000, "errmsg": "invalid webhook url"}, "message_refused", 93000),
        ("wecombot", {"errcode": 45009, "errmsg": "api freq out of limit"}, "transient", 45009),
        ("feishu", {"code": 19024, "msg": "Key Words Not Found"}, "message_refused", 19024),
        ("lark", {"code": 11232, "msg": "frequency limited"}, "transient", 11232),
    ],
)
def test_a_refusal_inside_an_answer_200_is_no_receipt(
    service: str, said: dict[str, Any], outcome: str, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert told(service, said, monkeypatch) == (
        outcome, f"The service refused the message with its code {code}.",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("service", "said"),
    [
        ("dingtalk", {"errcode": 0, "errmsg": "ok"}),
        ("wecombot", {"errcode": 0}),
        ("feishu", {"code": 0, "data": {}, "msg": "success"}),
        ("lark", {"StatusCode": 0}),
    ],
)
def test_what_such_a_service_took_has_arrived(
    service: str, said: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert told(service, said, monkeypatch) == (SENT.outcome.value, "")


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ({"error": {"code": 411}, "success": False}, 411),
        ({"success": True}, None),
        ({"error": "no"}, None),
        ({"error": {"code": "411"}}, None),
        ([], None),
        (None, None),
    ],
)
def test_only_a_code_that_can_be_read_is_a_refusal(document: object, code: int | None) -> None:
    assert refusal_in(document, Code(("error", "code"))) == code


NUMBERS = "15557654321", "15557654322"
VONAGE = f"vonage://{'a' * 8}:{'b' * 16}@15551234567"


def texted(said: list[str], monkeypatch: pytest.MonkeyPatch) -> DeliveryResult:
    """A message to as many numbers as Vonage has answers, each a status of its own in an answer 200."""

    def in_turn(server: HostileServer, peer: socket) -> None:
        status = said[len(server.requests) - 1]
        answer(json.dumps({"message-count": "1", "messages": [{"status": status}]}).encode())(server, peer)

    with HostileServer(in_turn) as server:
        monkeypatch.setattr("apprise.plugins.vonage.NotifyVonage.notify_url", server.url("/"))
        return send("/".join([VONAGE, *NUMBERS[: len(said)]]), a_message(), LONG)


@pytest.mark.parametrize(
    ("said", "outcome", "error"),
    [
        (["0"], "sent", ""),
        (["0", "0"], "sent", ""),
        (["4"], "message_refused", "The service refused the message with its code 4."),
        (["1"], "transient", "The service refused the message with its code 1."),
        (["6", "1"], "transient", "The service refused the message with its code 1."),
        (["6", "0"], "sent", PARTLY),
        (["0", "6"], "sent", PARTLY),
    ],
)
def test_each_number_of_vonage_has_an_answer_200_of_its_own(
    said: list[str], outcome: str, error: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = texted(said, monkeypatch)
    assert (result.outcome.value, result.error) == (outcome, error)


SLACK = f"slack://xoxb-{'1' * 10}-{'1' * 10}-{'a' * 12}/#ops"


@pytest.mark.parametrize(
    ("said", "outcome", "why"),
    [
        (b'{"ok": false, "error": "not_in_channel"}', "permanent", " (not_in_channel)"),
        (b'{"ok": false, "error": "service_unavailable"}', "transient", " (service_unavailable)"),
        (b'{"ok": false, "error": "msg_too_long"}', "message_refused", " (msg_too_long)"),
        (b'{"ok": false, "error": "<b>no</b> https://example.com"}', "message_refused", ""),
        (b'{"ok": false}', "message_refused", ""),
        (b"no_service", "message_refused", ""),
    ],
)
def test_slack_refuses_with_200(said: bytes, outcome: str, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with HostileServer(answer(said)) as server:
        monkeypatch.setattr("apprise.plugins.slack.NotifySlack.api_url", server.url("/{}"))
        result = send(SLACK, a_message(), LONG)
    assert (result.outcome.value, result.error) == (outcome, f"{REFUSED_WITH_200}{why}.")


def test_slack_takes_with_200(monkeypatch: pytest.MonkeyPatch) -> None:
    with HostileServer(answer(b'{"ok": true, "ts": "1"}')) as server:
        monkeypatch.setattr("apprise.plugins.slack.NotifySlack.api_url", server.url("/{}"))
        assert send(SLACK, a_message(), LONG) == SENT


def test_the_status_decides_where_the_log_names_a_code_of_the_services_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with HostileServer(answer(b'{"code": 20003}', "401 Unauthorized")) as server:
        monkeypatch.setattr("apprise.plugins.twilio.NotifyTwilio.notify_sms_url", server.url("/{sid}"))
        url = f"twilio://AC{'a' * 32}:{'b' * 32}@15551234567/15557654321"
        result = send(url, a_message(), LONG)
    assert (result.outcome.value, result.error) == (
        "permanent",
        "The receiver answered with HTTP status 401.",
    )


def test_what_was_answered_before_a_line_broke_decides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses_and_is_gone(server: HostileServer, peer: socket) -> None:
        first = len(server.requests) == 1
        (answer(b'{"code": 20404}', "404 Not Found") if first else close_at_once)(server, peer)

    with HostileServer(refuses_and_is_gone) as server:
        monkeypatch.setattr("apprise.plugins.twilio.NotifyTwilio.notify_sms_url", server.url("/{sid}"))
        url = f"twilio://AC{'a' * 32}:{'b' * 32}@15551234567/15557654321/15557654322"
        result = send(url, a_message(), LONG)
    assert (result.outcome.value, result.error) == ("transient", sentence("closed"))
    assert len(server.requests) == 2


def test_a_signature_tells_the_time_that_decides_and_not_the_machines(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Receivers refuse what is off by five minutes, and a refusal would disable the channel."""
    database = FakeClock()
    monkeypatch.setattr("instances.alerts.send.SYSTEM", database)
    secret = base64.b64encode(b"x" * 24).decode()
    assert send(f"{receiver.url()}?signing_secret=whsec_{secret}", a_message(), LONG) == SENT
    assert int(receiver.got[0].headers["webhook-timestamp"]) == int(database.now().timestamp())


def test_other_services_are_tried_again_when_they_say(receiver: Receiver) -> None:
    receiver.behaviour, receiver.headers = 429, {"Retry-After": "42"}
    url = receiver.url("/topic").replace("json", "ntfy")
    assert send(url, a_message(), LONG).wait == 42.0


def test_who_signs_in_elsewhere_first_is_tried_again_when_they_say_there(
    receiver: Receiver, tmp_path: Path
) -> None:
    """Firebase's plugin asks for a token in a module of its own."""
    receiver.behaviour, receiver.headers = 503, {"Retry-After": "120"}
    account = {
        "type": "service_account",
        "project_id": "project",
        "private_key_id": "1",
        "private_key": a_private_key(),
        "client_email": "robot@example.com",
        "token_uri": f"http://127.0.0.1:{receiver.port}/token",
    }
    file = tmp_path / "account.json"
    file.write_text(json.dumps(account), "utf-8")
    assert send(f"fcm://project/{'d' * 20}?keyfile={file}", a_message(), LONG).wait == 120.0


def a_private_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, *form).decode()


@pytest.mark.parametrize("answers", [[200, 503], [503, 200], [200, 400], [404, 200], [200, "hang"]])
def test_a_message_that_one_of_several_receivers_took_has_arrived(
    receiver: Receiver, answers: list[int | str]
) -> None:
    receiver.first = answers
    patience = 0.15 if "hang" in answers else LONG
    result = send(receiver.url("/one/two").replace("json", "ntfy"), a_message(), patience)
    assert (result.outcome, result.error) == (SENT.outcome, PARTLY)


def test_who_took_a_message_is_left_out_of_the_tries_that_a_url_asks_for(receiver: Receiver) -> None:
    receiver.first = [200, 503, 503, 503]
    url = receiver.url("/one/two").replace("json", "ntfy") + "?retry=2&wait=0.01"
    assert send(url, a_message(), LONG).error == PARTLY
    asked = Counter(got.document["topic"] for got in receiver.got)
    assert sorted(asked.values()) == [1, 3]


@pytest.mark.django_db(transaction=True)
def test_mail_to_one_who_has_left_floods_nobody_else_and_holds_nothing_up(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    with MailServer(unknown={"bob@example.com"}) as mail:
        channel = a_channel(url=mail.url("alice@example.com", "bob@example.com"))
        rows_of(channel, world, 2)
        assert deliver(world.clock) == 2
        world.clock.advance(3600)
        assert deliver(world.clock) == 0
    assert mail.got == ["alice@example.com"] * 2
    assert list(Notification.objects.values_list("error", flat=True)) == [PARTLY] * 2
    assert f"Channel ops: {PARTLY}" in caplog.text


@pytest.mark.parametrize(
    ("replies", "outcome", "code"),
    [
        ({"AUTH": "535 bad credentials"}, "permanent", 535),
        ({"EHLO": "421 busy"}, "transient", 421),
    ],
)
def test_the_code_of_a_mail_server_decides(replies: dict[str, str], outcome: str, code: int) -> None:
    with MailServer(**replies) as mail:
        result = send(mail.url("alice@example.com"), a_message(), LONG)
    assert (result.outcome.value, result.error) == (outcome, f"The mail server answered with code {code}.")


@pytest.mark.django_db
def test_a_test_at_the_desk_tells_of_a_receiver_that_takes_nothing() -> None:
    with MailServer(unknown={"bob@example.com"}) as mail:
        a_channel(url=mail.url("alice@example.com", "bob@example.com"))
        with pytest.raises(RequestError, match=PARTLY):
            try_channel("ops", "admin:ann")
    assert mail.got == ["alice@example.com"]


def test_a_mail_server_that_is_not_there_is_told_as_that() -> None:
    with MailServer() as gone:
        url = gone.url("alice@example.com")
    assert send(url, a_message(), LONG) == replace(NOT_TAKEN, error=sentence("refused"))


def test_mail_to_nobody_who_is_known_is_refused() -> None:
    with MailServer(unknown={"bob@example.com"}) as mail:
        result = send(mail.url("bob@example.com"), a_message(), LONG)
    assert result.outcome.value == "message_refused"


@pytest.mark.parametrize(
    ("head", "outcome"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", "sent"),
        (b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\n\r\n", "transient"),
    ],
)
def test_of_an_answer_without_end_no_more_is_read_than_a_service_has_to_say(
    head: bytes, outcome: str
) -> None:
    with HostileServer(flood(head)) as server:
        assert send(server.url("/topic").replace("http", "ntfy"), a_message(), LONG).outcome == outcome
    assert server.sent < 16 * MOST_TAKEN


@pytest.mark.parametrize(
    "behaviour", ["an endless chunk extension", answer(b"plain", headers="Content-Encoding: gzip\r\n")]
)
def test_a_body_that_can_t_be_read_is_told_as_that(behaviour: str | Behaviour) -> None:
    with HostileServer(behaviour) as server:
        result = send(server.url("/topic").replace("http", "ntfy"), a_message(), LONG)
    assert result == replace(NOT_TAKEN, error=sentence("bad_response"))


def test_neither_is_more_read_of_a_mail_servers_reply() -> None:
    endless = "\r\n".join([f"250-{'x' * 1000}"] * (2 * MOST_TAKEN // 1000))
    with MailServer(EHLO=endless) as mail:
        result = send(mail.url("alice@example.com"), a_message(), LONG)
    assert result == replace(NOT_TAKEN, error=sentence("closed"))


def test_a_receiver_that_never_ends_its_answer_holds_a_few_threads_and_no_more() -> None:
    answers: list[DeliveryResult] = []
    with HostileServer(drip(b"HTTP/1.1 200 OK\r\n\r\n", b"x")) as server:
        url = server.url("/topic").replace("http", "ntfy")
        at_once(range(MOST_UNDER_WAY), lambda _: answers.append(send(url, a_message(), 0.1)))
        answers += [send(url, a_message(), LONG) for _ in range(2)]
        assert answers == [NO_ANSWER] * (MOST_UNDER_WAY + 2)
        assert len(server.requests) == MOST_UNDER_WAY
