"""Asking a registry whether it lets somebody in, as engines do it."""

from __future__ import annotations

import base64
import re
from urllib.parse import urlencode, urlsplit

from instances.containers.image_names import HUB
from instances.http.client import NoAnswerError, Request, ask

SECONDS = 10.0
UNAUTHORIZED, BAD = 401, 400
_HUB_HOST = "registry-1.docker.io"
_PART = re.compile(r'(\w+)="([^"]*)"')
_LOOPBACK = re.compile(r"(?:127\.\d+\.\d+\.\d+|localhost|\[::1\])(?::\d+)?")


def lets_in(host: str, username: str, password: str, token: str, ca: str = "") -> bool:
    """Whether the registry at `host` (HOST[:PORT]) takes this login, or none where none is given.

    A registry on loopback may speak HTTP, which engines allow as well. Raises NoAnswerError.
    """
    base, status, wanted = _first_answer(host, ca)
    if status != UNAUTHORIZED:
        return status < BAD
    if token:
        return _status(f"{base}/v2/", f"Bearer {token}", ca) < BAD
    if not username:
        return False
    basic = "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()
    if wanted.lower().startswith("bearer"):
        return _status(_realm(wanted), basic, ca) < BAD
    return _status(f"{base}/v2/", basic, ca) < BAD


def _first_answer(host: str, ca: str) -> tuple[str, int, str]:
    """Where it is, with which status it greets a stranger, and which login it wants."""
    address = _HUB_HOST if host == HUB else host
    try:
        return _greeting(f"https://{address}", ca)
    except NoAnswerError as error:
        if ca or error.code not in ("tls", "bad_response", "closed") or not _LOOPBACK.fullmatch(address):
            raise
    base, status, wanted = _greeting(f"http://{address}", "")
    if status == BAD:  # it does speak TLS, and says so
        raise NoAnswerError("tls")
    return base, status, wanted


def _greeting(base: str, ca: str) -> tuple[str, int, str]:
    answer = ask(Request(f"{base}/v2/"), SECONDS, ca=ca)
    return base, answer.status_code, answer.headers.get("WWW-Authenticate", "")


def _status(url: str, authorization: str, ca: str) -> int:
    return ask(Request(url, headers={"Authorization": authorization}), SECONDS, ca=ca).status_code


def _realm(wanted: str) -> str:
    """Where a registry sends its callers for a token. Raises NoAnswerError for what is no such place."""
    said = dict(_PART.findall(wanted))
    realm = said.get("realm", "")
    if urlsplit(realm).scheme != "https":
        raise NoAnswerError("bad_response")
    service = urlencode({"service": said["service"]}) if "service" in said else ""
    return f"{realm}?{service}"
