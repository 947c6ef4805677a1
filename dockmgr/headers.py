"""Headers: those that every answer carries, one that is not believed, and answers that are nothing else."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

Answer = Callable[[HttpRequest], HttpResponseBase]
FORM = "application/x-www-form-urlencoded"


def head_middleware(get_response: Answer) -> Answer:
    """Stands first: an answer to HEAD is that to GET without the content (RFC 9110, 9.3.2).

    The server would drop the content as well, and log a warning each time a monitor asks.
    """

    def answer(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        if request.META["REQUEST_METHOD"] != "HEAD":
            return response
        if isinstance(response, StreamingHttpResponse):
            response.streaming_content = ()  # the server closes what it was all the same
        elif isinstance(response, HttpResponse):
            response.content = b""
        return response

    return answer


def headers_middleware(get_response: Answer) -> Answer:
    """Adds the content security policy, unless a view has set one of its own."""

    def answer(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        response.headers.setdefault("Content-Security-Policy", settings.CONTENT_SECURITY_POLICY)
        response.headers.setdefault("Permissions-Policy", settings.PERMISSIONS_POLICY)
        return response

    return answer


def charset_middleware(get_response: Answer) -> Answer:
    """A form is read as UTF-8, which is all it can be, whatever charset it names.

    Django refuses another one again in each page that tells of the refusal.
    """

    def answer(request: HttpRequest) -> HttpResponseBase:
        if request.content_type == FORM and request.encoding is not None:
            request.encoding = "utf-8"
        return get_response(request)

    return answer
