"""Services that refuse a message inside an answer 200, and where they say so. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

EACH = "*"  # of a list


@dataclass(frozen=True)
class Code:
    """Where an answer 200 of a service says what became of the message, and what it says there.

    It took the message where one of the values is `well`, or none of them is `ill`. Others may pass.
    """

    path: tuple[str, ...]
    well: tuple[int | str, ...] = (0,)
    ill: tuple[int | str, ...] = ()
    passing: tuple[int | str, ...] = (-1, 411, 11232, 45009, 90030, 130101, 410100)  # busy, asked too often

    def refuses(self, value: object) -> bool | None:
        """None for what is no such value."""
        known = self.ill or self.well
        if type(value) not in {type(each) for each in known}:
            return None
        return (value in known) is bool(self.ill)


SERVICES = {
    "dingtalk": Code(("errcode",)),
    "wecombot": Code(("errcode",)),
    "feishu": Code(("code",)),
    "lark": Code(("code",)),
    "synology": Code(("error", "code")),
    "synologys": Code(("error", "code")),
    **dict.fromkeys(("vonage", "nexmo"), Code(("messages", EACH, "status"), ("0",), passing=("1", "5"))),
    "clicksend": Code(("data", "messages", EACH, "status"), ("SUCCESS",)),
    "msg91": Code(("type",), ill=("error",)),
    "seven": Code(("success",), ("100", 100)),
    "join": Code(("success",), ill=(False,)),
    "onesignal": Code(("id",), ill=("",)),
    "smtp2go": Code(("data", "succeeded"), ill=(0,)),
    "clickatell": Code(("messages", EACH, "accepted"), ill=(False,)),
    "atalk": Code(("SMSMessageData", "Recipients", EACH, "statusCode"), (100, 101, 102), passing=(500, 501)),
    "wxpusher": Code(("code",), (1000,), passing=(1008,)),
    "smsc": Code(("error_code",), passing=(4, 99)),
    "sfr": Code(("success",), ill=(False,)),
    "viber": Code(("status",), passing=(12,)),
    "voipms": Code(("status",), ("success",)),
    "wechat": Code(("errcode",)),
    **dict.fromkeys(("pushplus", "wecom"), Code(("code",), (200,), passing=(900,))),
    **dict.fromkeys(("onebot", "onebots"), Code(("retcode",), (0, 1))),
    **dict.fromkeys(("pushdeer", "pushdeers", "schan", "qq", "kook"), Code(("code",))),
}


def refusal_in(document: object, place: Code) -> int | str | None:
    """What a service's answer calls its refusal; None where it took the message, or none can be read."""
    said = [(each, place.refuses(each)) for each in _values(document, place.path)]
    known = [(each, refuses) for each, refuses in said if refuses is not None]
    return known[0][0] if known and all(refuses for _, refuses in known) else None


def _values(document: object, path: Sequence[str]) -> list[Any]:
    found = [document]
    for name in path:
        if name == EACH:
            found = [inner for each in found if isinstance(each, list) for inner in each]
        else:
            found = [each[name] for each in found if isinstance(each, dict) and name in each]
    return found
