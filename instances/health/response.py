"""What an instance's HTTP answer means: a pure judgement of status code and body."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from enum import StrEnum

VERSION_LENGTH = 64
PROBER = "prober"  # the reason of a look that failed for a cause of ours
ENGINE_REFUSED = "engine_refused"  # of one at which the engine answered, and not about the container

_SENTENCES = {
    "refused": "The connection was refused: nothing listens on the port.",
    "unusable": "It has a name or port that can't be asked over HTTP.",
    "timeout": "No complete answer came in time.",
    "ca_file": "The file of the certificate authority can't be read.",
    "tls": "The TLS connection could not be trusted or established.",
    "dns": "The host name does not exist.",
    "private_address": "The host name leads to a private network, where nothing is asked.",
    "unreachable": "There is no route to the host.",
    "closed": "The connection was closed without a complete answer.",
    "bad_response": "The answer is not HTTP.",
    "redirect": "The answer is a redirect, which is not followed.",
    "too_large": "The answer is larger than a health answer may be.",
    "bad_encoding": "The answer is encoded in a way that can't be read, although none was asked for.",
    "bad_json": "The answer is not a JSON object, although one is expected.",
    "body_not_ok": "The answer itself says that the instance is not well.",
    "start_timeout": "The instance is still starting although its time for that is over.",
    "exited": "The container has exited.",
    "hung": "The Docker Engine answers, but its calls about this container do not.",
    "oom_killed": "The container was killed because it ran out of memory.",
    "missing": "The container does not exist.",
    "paused": "The container is paused, as `docker pause` does, and is left alone until it is unpaused.",
    "data_missing": "The container does not exist, and neither does the data it had.",
    "image_missing": "The container does not exist, and neither does the exact image it ran.",
    "replaced": "Another container, which dockmgr did not make, stands in its place.",
    "crash_loop": "The container keeps crashing and being started again.",
    "docker_unhealthy": "The image's own health check says that the instance is not well.",
    "no_healthcheck": "The image has no health check of its own, although its plan asks for that.",
    PROBER: "The check itself could not be made, which says nothing about the instance.",
    "engine": "The Docker Engine of the host is out of reach.",
    ENGINE_REFUSED: "The Docker Engine of the host did not say how the container is.",
}
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+"|[{}\[\]]|[^"{}\[\]]++', re.DOTALL)  # each byte is read once


class Outcome(StrEnum):
    """Outcome of one probe. UNKNOWN is our own or the host's trouble and never moves a streak."""

    OK = "ok"
    FAIL = "fail"
    STARTING = "starting"
    UNKNOWN = "unknown"


class Expect(StrEnum):
    """How strictly a plan reads an answer; the words of the fleet file's `health_expect`."""

    AUTO = "auto"
    JSON_OK = "json_ok"
    HTTP_2XX = "http_2xx"


@dataclass(frozen=True)
class Reply:
    """A judged answer. `reason` is a code (`http_503`, `body_not_ok`, …), empty unless it failed."""

    outcome: Outcome
    reason: str = ""
    http_status: int | None = None
    version: str | None = None


def sentence(reason: str) -> str:
    """One sentence for people about a reason code; empty for the empty code."""
    if not reason:
        return ""
    if reason.startswith("http_"):
        return f"The answer has HTTP status {reason.removeprefix('http_')}."
    return _SENTENCES.get(reason, f"The check failed: {reason}.")


def judge_response(status: int, body: bytes, expect: Expect, wanted: tuple[int, ...] = ()) -> Reply:
    """Judge an answer by its status code and, if that is 2xx, its body. Never raises, whatever the bytes.

    `wanted` are the statuses that pass, where they are not 2xx.

    Starting, for `auto` and `json_ok`: `status`, `state` or `gateway` says so and `ok` does not contradict.
    """
    if status not in wanted if wanted else not _is_2xx(status):
        return Reply(Outcome.FAIL, "redirect" if 300 <= status < 400 else f"http_{status}", status)
    if not _is_2xx(status):
        return Reply(Outcome.OK, "", status)
    document = _parse(body)
    said = _parse_loosely(body) if document is None and expect == Expect.AUTO else document
    outcome, reason = (Outcome.OK, "") if expect == Expect.HTTP_2XX else _judge_body(said, expect)
    return Reply(outcome, reason, status, _version(document))


def _is_2xx(status: int) -> bool:
    return 200 <= status < 300


def _parse(body: bytes) -> dict[str, object] | None:
    """The JSON object in `body`, or None for anything else."""
    try:
        document = json.loads(body)
    except RecursionError:
        return _parse_loosely(body)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def _parse_loosely(body: bytes) -> dict[str, object] | None:
    """The same of JSON that was put together by hand: with line ends and odd bytes in its texts."""
    if not body.lstrip().startswith(b"{"):
        return None
    text = body.decode("utf-8", "replace")
    try:
        document = _loads(text)
    except RecursionError:
        document = _loads(_outermost(text))
    return document if isinstance(document, dict) else None


def _loads(text: str) -> object:
    """None for what is no JSON. Raises RecursionError."""
    try:
        return json.loads(text, strict=False, parse_int=float)
    except ValueError:
        return None


def _outermost(text: str) -> str:
    """An object without what is in the objects and lists in it, however deep these are."""
    depth, kept = 0, []
    for token in _TOKEN.findall(text):
        depth -= token in ("}", "]")
        begins = token in ("{", "[")
        if depth == 0 or (depth == 1 and not begins and token not in ("}", "]")):
            kept.append(token)
        elif depth == 1 and begins:
            kept.append("null")
        depth += begins
    return "".join(kept)


def _judge_body(document: dict[str, object] | None, expect: Expect) -> tuple[Outcome, str]:
    strict = expect == Expect.JSON_OK
    if document is None:
        return (Outcome.FAIL, "bad_json") if strict else (Outcome.OK, "")
    ok = document.get("ok")
    if ok is False or (strict and ok is not True):
        return Outcome.FAIL, "body_not_ok"
    return (Outcome.STARTING if _says_starting(document) else Outcome.OK), ""


def _says_starting(document: dict[str, object]) -> bool:
    for key in ("status", "state", "gateway"):
        value = document.get(key)
        if isinstance(value, str) and value.strip().lower() == "starting":
            return True
    return False


def _version(document: dict[str, object] | None) -> str | None:
    value = document.get("version") if document else None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return None
    text = str(value).strip()
    return text[:VERSION_LENGTH] if text and text.isprintable() else None
