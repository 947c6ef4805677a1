"""One attempt to send one message, in bounded time; the only importer of Apprise.

`json://` and `jsons://` receive the documented document by a request of our own, because Apprise
hides the status, the wait that a receiver asks for and the id. Everything else receives text.
"""

from __future__ import annotations

import base64
import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from functools import cache, partial
from importlib import import_module
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from instances.alerts import signature
from instances.alerts.answers import hear
from instances.alerts.delivery_rules import (
    PARTLY,
    SENT,
    Answer,
    DeliveryOutcome,
    DeliveryResult,
    judge_answers,
    judge_delivery,
)
from instances.alerts.messages import as_text
from instances.alerts.pagers import identify, is_over, pager_of
from instances.alerts.signature import secret_of
from instances.db.clock import SYSTEM
from instances.documents import Document
from instances.errors import RequestError
from instances.health.response import sentence
from instances.http.client import NOT_FOR_HTTP, NoAnswerError, Request, ask, is_askable
from instances.lib.time_limit import within

if TYPE_CHECKING:
    from types import ModuleType

UNUSABLE = "The channel's URL is not one that messages can be sent to."
LAST_PORT = 65535
NO_ANSWER = DeliveryResult(DeliveryOutcome.TRANSIENT, sentence("timeout"))
MOST_UNDER_WAY = 3  # attempts at one URL, whose threads end when the receiver does
_under_way, _counting = Counter[str](), threading.Lock()
_STATUS = re.compile(r"\berror=(\d{3})\b")
_SAFE_IN_PATH = "/%:=&~+!$,;'@()*[]|"
_NOTIFY_TYPES = {"info": "info", "warning": "warning", "critical": "failure"}


def send(url: str, document: Document, timeout: float) -> DeliveryResult:
    """Send a message to an Apprise URL; takes at most `timeout` seconds.

    Never raises for what the network, the receiver or the URL does, and no error shows the URL.
    """
    url = url.strip()
    plugin = _plugin(url)
    if plugin is None:
        return DeliveryResult(DeliveryOutcome.PERMANENT, UNUSABLE)
    if _is_webhook(url):
        return _post(plugin, secret_of(url), document, timeout)
    if _under_way[url] >= MOST_UNDER_WAY:
        return NO_ANSWER
    taken: set[str] = set()
    try:
        result = within(timeout, lambda: _counted(plugin, document, url, taken))
    except TimeoutError:
        result = NO_ANSWER
    if taken and result != SENT:  # who took it is not to get it again, nor to wait for what follows
        return DeliveryResult(DeliveryOutcome.SENT, PARTLY)
    return result


def check_url(url: str) -> None:
    """Raise RequestError unless messages could be sent to the URL. Nothing is sent."""
    url = url.strip()
    plugin = _plugin(url)
    if plugin is None or (plugin.port or 0) > LAST_PORT:
        raise RequestError(UNUSABLE)
    if _is_webhook(url) and not is_askable(_request(plugin, {}, b"")):
        raise RequestError(UNUSABLE)
    try:
        secret_of(url)
    except ValueError as error:
        raise RequestError(f"The channel's URL is refused: {error}.") from None


def _post(hook: Any, secret: bytes | None, document: Document, timeout: float) -> DeliveryResult:
    """The document as the body of one request, signed if there is a secret.

    `hook` is Apprise's own reading of the URL.
    """
    body = json.dumps({**hook.payload_extras, **document}).encode()
    sent_at = int(SYSTEM.now().timestamp())
    proof = signature.headers(secret, document["id"], sent_at, body) if secret else {}
    try:
        answer = ask(_request(hook, proof, body), timeout, verify=hook.verify_certificate)
    except NoAnswerError as error:
        if error.code == NOT_FOR_HTTP:
            return DeliveryResult(DeliveryOutcome.PERMANENT, UNUSABLE)
        return DeliveryResult(DeliveryOutcome.TRANSIENT, sentence(error.code))
    return judge_delivery(answer.status_code, answer.headers.get("Retry-After"), SYSTEM.now())


def _request(hook: Any, proof: Mapping[str, str], body: bytes) -> Request:
    return Request(_address(hook), hook.method, {**_headers(hook), **proof}, body)


def _address(hook: Any) -> str:
    place = f"{hook.host}:{hook.port}" if hook.port else hook.host
    path = quote(hook.fullpath or "/", safe=_SAFE_IN_PATH)
    query = f"?{urlencode(hook.params)}" if hook.params else ""
    return f"{'https' if hook.secure else 'http'}://{place}{path}{query}"


def _headers(hook: Any) -> dict[str, str]:
    headers = {"Content-Type": "application/json"}
    if hook.user:
        pair = f"{hook.user}:{hook.password or ''}".encode()
        headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
    return {**headers, **hook.headers}


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


def _counted(plugin: Any, document: Document, url: str, taken: set[str]) -> DeliveryResult:
    """`_notify`, which goes on after its time where a receiver answers drop by drop and never to the end."""
    with _counting:
        _under_way[url] += 1
    try:
        return _notify(plugin, document, url, taken)
    finally:
        with _counting:
            _under_way[url] -= 1


def _notify(plugin: Any, document: Document, url: str, taken: set[str]) -> DeliveryResult:
    """`taken` gets those of the URL's receivers that took the message."""
    module, pager = _apprise(), pager_of(url)
    answers = hear(url.partition("://")[0])
    plugin.mark_delivered = partial(_note, taken, answers, plugin.mark_delivered)
    if pager is not None:
        identify(plugin, pager, document, _post_about)
    if plugin.overflow_mode == module.OverflowMode.UPSTREAM:
        plugin.overflow_mode = module.OverflowMode.TRUNCATE
    plugin.request_rate_per_sec = 0  # it would sleep between a URL's receivers; few messages go anyway
    title, body = as_text(document)
    answer = module.Apprise(plugin).notify(
        body=body,
        title=title,
        notify_type="success" if is_over(document) else _NOTIFY_TYPES[document["level"]],
        body_format=module.NotifyFormat.TEXT,
    )
    named = [int(code) for entry in answer.logs() for code in _STATUS.findall(entry.message)]
    return judge_answers(answers, named, bool(answer), SYSTEM.now())


def _note(
    taken: set[str], answers: list[Answer], mark: Callable[..., None], key: object, per_message: bool = False
) -> None:
    """What a plugin has delivered, which it must `mark` for its own tries; `per_message` is no receiver.

    Apprise takes an answer 200 that refuses the message for a receipt.
    """
    mark(key, per_message)
    if not per_message and not (answers and answers[-1].refusal is not None):
        taken.add(repr(key))


def _post_about(plugin: Any, path: str, body: Document) -> bool:
    """Ask a service for something about an incident known by its key: one POST to its address.

    Opsgenie, and Jira that took it over, have the key in the address; PagerDuty has it in the body.
    """
    service: Any = import_module(type(plugin).__module__)
    places = getattr(service, f"{type(plugin).__name__.removeprefix('Notify').upper()}_API_LOOKUP")
    address = places[plugin.region_name]
    if path:
        done, _ = plugin._fetch(service.requests.post, f"{address}/{path}", body, {"identifierType": "alias"})
        return bool(done)
    answer = service.requests.post(
        address, data=json.dumps(body), headers={"Content-Type": "application/json"},
        timeout=plugin.request_timeout, verify=plugin.verify_certificate, allow_redirects=False,
    )  # fmt: skip
    if answer.status_code >= 300:
        plugin.logger.warning("The service refused: error=%d.", answer.status_code)
    return bool(answer.status_code < 300)


@cache
def _apprise() -> ModuleType:
    """Apprise takes over a second to import."""
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
