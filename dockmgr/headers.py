"""Headers: those that every answer carries, and one of a request that is not believed."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

Answer = Callable[[HttpRequest], HttpResponse]
FORM = "application/x-www-form-urlencoded"


def headers_middleware(get_response: Answer) -> Answer:
    """Adds the content security policy, unless a view has set one of its own."""

    def answer(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response.headers.setdefault("Content-Security-Policy", settings.CONTENT_SECURITY_POLICY)
        response.headers.setdefault("Permissions-Policy", settings.PERMISSIONS_POLICY)
        return response

    return answer


def charset_middleware(get_response: Answer) -> Answer:
    """A form is read as UTF-8, which is all it can be, whatever charset it names.

    Django refuses another one again in each page that tells of the refusal.
    """

    def answer(request: HttpRequest) -> HttpResponse:
        if request.content_type == FORM and request.encoding is not None:
            request.encoding = "utf-8"
        return get_response(request)

    return answer
