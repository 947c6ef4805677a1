"""The page somebody sees where a page could not be made."""

from __future__ import annotations

import sys

from django.db import Error as DatabaseFailure
from django.http import HttpRequest, HttpResponse
from django.template import loader
from django.views.defaults import server_error

from instances.db.errors import database_sentence, is_outage
from instances.errors import OutOfReachError

RETRY_SECONDS = "10"


def failed(request: HttpRequest) -> HttpResponse:
    """503 with the reason where something is out of reach, else 500. Asks nothing of the database."""
    reason = _out_of_reach(sys.exc_info()[1])
    if not reason:
        return server_error(request)
    page = loader.get_template("503.html").render({"reason": reason})
    return HttpResponse(page, status=503, headers={"Retry-After": RETRY_SECONDS})


def _out_of_reach(error: BaseException | None) -> str:
    if isinstance(error, DatabaseFailure) and is_outage(error):
        return database_sentence(error)
    return str(error) if isinstance(error, OutOfReachError) else ""
