"""What services say in an answer 200, as a table of the forms they document."""

from __future__ import annotations

from typing import Any

import pytest

from instances.alerts.refusals import SERVICES, refusal_in

OF_CLICKSEND = {"http_code": 200, "response_code": "SUCCESS"}


def texts(*statuses: str) -> dict[str, Any]:
    return {**OF_CLICKSEND, "data": {"messages": [{"status": status} for status in statuses]}}


@pytest.mark.parametrize(
    ("service", "said", "refusal"),
    [
        ("vonage", {"messages": [{"status": "0"}]}, None),
        ("vonage", {"messages": [{"status": "4", "error-text": "Bad Credentials"}]}, "4"),
        ("nexmo", {"messages": [{"status": "9"}, {"status": "9"}]}, "9"),
        ("nexmo", {"messages": [{"status": "0"}, {"status": "1"}]}, None),
        ("vonage", {"messages": "none"}, None),
        ("clicksend", texts("SUCCESS"), None),
        ("clicksend", texts("INSUFFICIENT_CREDIT", "INVALID_RECIPIENT"), "INSUFFICIENT_CREDIT"),
        ("clicksend", texts("INVALID_RECIPIENT", "SUCCESS"), None),
        ("clicksend", OF_CLICKSEND, None),
        ("msg91", {"type": "success", "message": "3763646c3058373530393938"}, None),
        ("msg91", {"type": "error", "message": "template id missing"}, "error"),
        ("seven", {"success": "100", "messages": []}, None),
        ("seven", {"success": "101"}, "101"),
        ("seven", {"success": "900"}, "900"),
        ("seven", 900, None),
        ("join", {"success": True}, None),
        ("join", {"success": False, "errorMessage": "User not authenticated"}, False),
        ("onesignal", {"id": "b98881cc", "errors": {"invalid_player_ids": ["a"]}}, None),
        ("onesignal", {"id": "", "errors": ["All included players are not subscribed"]}, ""),
        ("smtp2go", {"data": {"succeeded": 1, "failed": 1}}, None),
        ("smtp2go", {"data": {"succeeded": 0, "failed": 1}}, 0),
        ("pushdeer", {"code": 0, "content": {}}, None),
        ("pushdeers", {"code": 80403, "error": "key"}, 80403),
        ("schan", {"code": 40001, "message": "bad"}, 40001),
        ("qq", {"success": False, "code": 500}, 500),
        ("clickatell", {"messages": [{"accepted": True, "errorCode": None}]}, None),
        ("clickatell", {"messages": [{"accepted": False, "errorCode": 301}]}, False),
        ("atalk", {"SMSMessageData": {"Recipients": [{"statusCode": 101}, {"statusCode": 405}]}}, None),
        ("atalk", {"SMSMessageData": {"Recipients": [{"statusCode": 405}]}}, 405),
        ("wxpusher", {"code": 1000, "success": True}, None),
        ("wxpusher", {"code": 1002, "success": False}, 1002),
        ("smsc", {"id": 1, "cnt": 1}, None),
        ("smsc", {"error": "authorise error", "error_code": 2}, 2),
        ("sfr", {"success": True, "response": 1}, None),
        ("viber", {"status": 0, "status_message": "ok"}, None),
        ("viber", {"status": 2, "status_message": "invalidAuthToken"}, 2),
        ("voipms", {"status": "success", "sms": 1}, None),
        ("voipms", {"status": "invalid_credentials"}, "invalid_credentials"),
        ("wechat", {"errcode": 45009, "errmsg": "api freq out of limit"}, 45009),
        ("pushplus", {"code": 200, "data": "1"}, None),
        ("wecom", {"code": 903, "msg": "token"}, 903),
        ("onebot", {"status": "async", "retcode": 1}, None),
        ("onebots", {"status": "failed", "retcode": 1403}, 1403),
        ("kook", {"code": 40100, "message": "bad"}, 40100),
    ],
)
def test_what_a_service_says_in_an_answer_200_decides(service: str, said: object, refusal: object) -> None:
    assert refusal_in(said, SERVICES[service]) == refusal
