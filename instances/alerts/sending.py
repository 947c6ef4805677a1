"""One attempt to send one message, in bounded time; the only importer of Apprise.

`json://` and `jsons://` receive the documented document by a request of our own, because Apprise
hides the status, the wait that a receiver asks for and the id. Everything else receives text.
"""

from __future__ import annotations

import base64
import http.client
import json
import logging
import re
import socket
import ssl
import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotInTime
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from instances.alerts.messages import as_text
from instances.delivery_rules import SENT, Outcome, Result, judge
from instances.documents import Document
from instances.errors import RequestError
from instances.reply import sentence

if TYPE_CHECKING:
    from types import ModuleType

UNUSABLE = "The channel's URL is not one that messages can be sent to."
NO_ANSWER = Result(Outcome.TRANSIENT, "No complete answer came in time.")
NOT_TAKEN = Result(Outcome.TRANSIENT, "The service did not take the message.")
_STATUS = re.compile(r"\berror=(\d{3})\b")
_SAFE_IN_PATH = "/%:=&~+!$,;'@()*[]|"
_CODES: tuple[tuple[type[Exception], str], ...] = (
    (TimeoutError, "timeout"),
    (ssl.SSLError, "tls"),
    (socket.gaierror, "dns"),
    (ConnectionRefusedError, "refused"),
    (ConnectionError, "closed"),
    (http.client.HTTPException, "bad_response"),
    (OSError, "unreachable"),
)
_NOTIFY_TYPES = {"info": "info", "warning": "warning", "critical": "failure"}


def send(url: str, document: Document, timeout: float) -> Result:
    """Send a message to an Apprise URL; takes at most `timeout` seconds.

    Never raises for what the network, the receiver or the URL does, and no error shows the URL.
    """
    plugin = _plugin(url)
    if plugin is None:
        return Result(Outcome.PERMANENT, UNUSABLE)
    if not _is_webhook(url):
        return _within(timeout, lambda: _notify(plugin, document))
    post = _Post(plugin, document, timeout)
    return _within(timeout, post.answer, post.abort)


def check_url(url: str) -> None:
    """Raise RequestError unless messages could be sent to the URL. Nothing is sent."""
    if _plugin(url) is None:
        raise RequestError(UNUSABLE)


def _within(seconds: float, work: Callable[[], Result], abort: Callable[[], None] = lambda: None) -> Result:
    """What `work` returns, on a thread of its own: name look-ups and dripping answers know no timeout."""
    future: Future[Result] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # raised again by whoever waits
            future.set_exception(error)

    threading.Thread(target=run, name="send", daemon=True).start()
    try:
        return future.result(timeout=seconds)
    except NotInTime:
        abort()
        return NO_ANSWER


class _Post:
    """One request with the document as its body. `hook` is Apprise's own reading of the URL."""

    def __init__(self, hook: Any, document: Document, timeout: float) -> None:
        self._hook = hook
        self._body = json.dumps({**hook.payload_extras, **document}).encode()
        self._connection = _connection(hook, timeout)

    def answer(self) -> Result:
        try:
            self._connection.request(self._hook.method, self._target(), self._body, self._headers())
            with self._connection.getresponse() as response:
                return judge(response.status, response.getheader("Retry-After"), datetime.now(UTC))
        except (OSError, http.client.HTTPException) as error:
            return _failed(error)
        except ValueError:  # nothing that HTTP could carry in a header
            return Result(Outcome.PERMANENT, UNUSABLE)
        finally:
            self._connection.close()

    def abort(self) -> None:
        """End the request whatever the receiver does, so that its thread ends as well."""
        connected = self._connection.sock
        if connected is not None:
            with suppress(OSError):
                connected.shutdown(socket.SHUT_RDWR)

    def _target(self) -> str:
        path = quote(self._hook.fullpath or "/", safe=_SAFE_IN_PATH)
        return f"{path}?{urlencode(self._hook.params)}" if self._hook.params else path

    def _headers(self) -> dict[str, str]:
        headers = {"User-Agent": "dockmgr", "Content-Type": "application/json", "Connection": "close"}
        if self._hook.user:
            pair = f"{self._hook.user}:{self._hook.password or ''}".encode()
            headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
        return {**headers, **self._hook.headers}


def _connection(hook: Any, timeout: float) -> http.client.HTTPConnection:
    if not hook.secure:
        return http.client.HTTPConnection(hook.host, hook.port or 80, timeout=timeout)
    context = ssl.create_default_context()
    if not hook.verify_certificate:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return http.client.HTTPSConnection(hook.host, hook.port or 443, timeout=timeout, context=context)


def _failed(error: Exception) -> Result:
    code = next(code for kind, code in _CODES if isinstance(error, kind))
    return Result(Outcome.TRANSIENT, sentence(code))


def _is_webhook(url: str) -> bool:
    return url.lower().startswith(("json://", "jsons://"))


def _plugin(url: str) -> Any:
    """Apprise's own reading of the URL, or None when it has none."""
    module = _apprise()
    if not _is_webhook(url):
        return module.Apprise.instantiate(url, asset=_asset(module))
    from apprise.plugins.custom_json import NotifyJSON  # alone: loading all plugins takes seconds

    webhook: Any = NotifyJSON
    parsed = webhook.parse_url(url)
    try:
        return webhook(**parsed, asset=_asset(module)) if parsed else None
    except TypeError:  # what Apprise raises for parts it can't use
        return None


def _notify(plugin: Any, document: Document) -> Result:
    module = _apprise()
    if plugin.overflow_mode == module.OverflowMode.UPSTREAM:
        plugin.overflow_mode = module.OverflowMode.TRUNCATE
    plugin.request_rate_per_sec = 0  # it would sleep between a URL's receivers; few messages go anyway
    title, body = as_text(document)
    over = document["kind"] in ("resolved", "recovered")
    answer = module.Apprise(plugin).notify(
        body=body,
        title=title,
        notify_type="success" if over else _NOTIFY_TYPES[document["level"]],
        body_format=module.NotifyFormat.TEXT,
    )
    return SENT if answer else _refusal([entry.message for entry in answer.logs()])


def _refusal(log: list[str]) -> Result:
    """A URL may stand for several receivers: it is refused for good when all of them say so."""
    now = datetime.now(UTC)
    found = [judge(int(code), None, now) for line in log for code in _STATUS.findall(line)]
    passing = [result for result in found if result.outcome is not Outcome.PERMANENT]
    return next(iter(passing or found), NOT_TAKEN)


@cache
def _apprise() -> ModuleType:
    """Apprise takes over a second to import; its log shows hosts and parts of URLs, so it goes nowhere."""
    for name in ("apprise", "urllib3"):
        logging.getLogger(name).setLevel(logging.WARNING)
    own = logging.getLogger("apprise")
    own.addHandler(logging.NullHandler())
    own.propagate = False
    import apprise

    return apprise


def _asset(module: ModuleType) -> Any:
    """No threads of its own, no redirects, nothing read from elsewhere."""
    return module.AppriseAsset(
        app_id="dockmgr",
        app_desc="dockmgr",
        async_mode=False,
        service_timeout=0,
        http_redirects=False,
        allow_templates=False,
    )
