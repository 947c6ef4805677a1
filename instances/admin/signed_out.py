"""A session that ended before a form was sent: nothing was done, which is said, and the way back is kept."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import resolve_url

from instances.admin.verbs import REASON_LENGTH

LOGIN = "admin:login"
NOTHING_DONE = "You were signed out, so nothing was done. Sign in, and send it once more."
SEND_AGAIN = "Nothing was done: the form was not sent, or you were signed out before. Send it once more."
Answer = Callable[[HttpRequest], HttpResponse]


def signed_out_middleware(get_response: Answer) -> Answer:
    """Where a form ends at the login page: says so there, and takes the typed reason along."""

    def answer(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        login = resolve_url(LOGIN)
        if request.method != "POST" or request.path == login or not _leads_to(login, response):
            return response
        messages.warning(request, NOTHING_DONE)
        reason = request.POST.get("reason", "")[:REASON_LENGTH]
        query = f"?{urlencode({'reason': reason})}" if reason else ""
        return redirect_to_login(f"{request.path}{query}", login)

    return answer


def _leads_to(login: str, response: HttpResponse) -> bool:
    return response.status_code == 302 and response.headers["Location"].partition("?")[0] == login


def typed_reason(request: HttpRequest) -> dict[str, str]:
    """What forms begin with: the reason that was typed before the session ended."""
    reason = request.GET.get("reason", "").replace("\0", "")[:REASON_LENGTH]
    return {"reason": reason} if reason else {}
