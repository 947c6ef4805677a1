"""Around every API call: bounds before it; problem documents, rate headers and the audit log after it."""

from __future__ import annotations

import logging
from collections.abc import Callable

from django.conf import settings
from django.db import Error as DatabaseFailure
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from instances.access.audit import Author, audit
from instances.api import problems
from instances.api.call import Call, call_of
from instances.db.clock import SYSTEM
from instances.db.errors import database_sentence
from instances.lib import client_ip

logger = logging.getLogger(__name__)

PREFIX = "/api/"
LARGEST_BODY = 64 * 1024
ONLY_HTTPS = "This is taken over HTTPS alone: nothing was done."
KEPT_HEADERS = ("Allow", "Retry-After", "WWW-Authenticate")
MALFORMED = frozenset({400, 411, 413, 422})  # touched nothing
DENIED = frozenset({401, 403, 429})

Answer = Callable[[HttpRequest], HttpResponseBase]


class ApiMiddleware:
    """Stands so early that whatever any other part answers becomes a problem document too."""

    def __init__(self, get_response: Answer) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not request.path_info.startswith(PREFIX):
            return self._get_response(request)
        address = client_ip.source(request.META, settings.TRUSTED_PROXIES)
        request.api_call = Call(SYSTEM.now(), address)  # type: ignore[attr-defined]
        if request.method == "HEAD":
            request.method = "GET"  # answered alike, but for the content, which goes last of all
        response = self._answer(request)
        _add_headers(response, call_of(request))
        _record(request, response)
        return response

    def _answer(self, request: HttpRequest) -> HttpResponseBase:
        if "transfer-encoding" in request.headers:  # Django takes such a body for none
            return problems.of_status(411).response()
        if _body_size(request) > LARGEST_BODY:
            return problems.of_status(413).response()
        if settings.SECURE_SSL_REDIRECT and not request.is_secure() and request.method != "GET":
            return problems.ProblemError(400, ONLY_HTTPS).response()  # clients follow a redirect with a GET
        response = self._get_response(request)
        kind = response.headers.get("Content-Type", "")
        if response.status_code < 400 or kind.startswith(problems.CONTENT_TYPE):
            return response
        kept = {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}
        if "GET" in kept.get("Allow", "") and "HEAD" not in kept["Allow"]:
            kept["Allow"] += ", HEAD"
        return problems.of_status(response.status_code, kept).response()


def _body_size(request: HttpRequest) -> int:
    length = request.headers.get("content-length") or "0"
    return int(length) if length.isascii() and length.isdigit() and len(length) < 10 else LARGEST_BODY + 1


def _add_headers(response: HttpResponseBase, call: Call) -> None:
    response.headers["Cache-Control"] = "no-store"
    if call.allowance is not None:
        response.headers["RateLimit-Limit"] = str(call.allowance.limit)
        response.headers["RateLimit-Remaining"] = str(call.allowance.left)
        response.headers["RateLimit-Reset"] = str(call.allowance.seconds)


def _record(request: HttpRequest, response: HttpResponseBase) -> None:
    """Every call that changes something or reads logs, and every denied one."""
    call, status = call_of(request), response.status_code
    if status in MALFORMED or call.repeated or not (call.action or status in DENIED):
        return
    action = call.action or f"{request.method} {request.path_info}"
    outcome = " ".join(filter(None, (str(status), call.outcome)))
    try:
        by = Author("api", call.actor, call.address, call.reason)
        audit(by, action, call.target, outcome, call.now)
    except DatabaseFailure as error:
        logger.error("The audit log lacks %s by %s: %s", action, call.actor, database_sentence(error))


def respond(request: HttpRequest, problem: problems.ProblemError) -> HttpResponse:
    """The answer to a call that ends with a problem, which the audit log quotes."""
    call_of(request).outcome = problem.detail
    return problem.response()
