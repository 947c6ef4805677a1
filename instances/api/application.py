"""The API put together: its routes, and what becomes of everything they raise."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NoReturn

from django.conf import settings
from django.db import Error as DatabaseFailure
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe
from ninja.errors import HttpError, ValidationError
from ninja.parser import Parser
from pydantic_core import ErrorDetails

from instances.api import problems, queries
from instances.api.docs import DESCRIPTION, TAGS, Api, Page
from instances.api.middleware import respond
from instances.api.routes import changes, fleet, looking, records, sweeping, trials, usage
from instances.api.routes.router import router
from instances.errors import DockmgrError
from instances.lib import exact_json

WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
MOST_ERRORS = 20
BODY = "wanted"  # what routes call their body


class ExactParser(Parser):
    """JSON that says each thing once."""

    def parse_body(self, request: HttpRequest) -> Any:
        return exact_json.loads(request.body)


def _only_shown(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """A page without a form of ours, so that another method is told as such."""
    return csrf_exempt(require_safe(view))


api = Api(
    title="dockmgr",
    version=settings.VERSION,
    docs=Page(),
    docs_decorator=_only_shown,
    description=DESCRIPTION,
    parser=ExactParser(),
    urls_namespace="api",
    default_router=router,
    openapi_extra={"tags": [{"name": name, "description": text} for name, text in TAGS.items()]},
)
ROUTES = (fleet, changes, looking, records, trials, sweeping, usage)  # they add themselves to the router
queries.learn(router)


@api.exception_handler(problems.ProblemError)
def on_problem(request: HttpRequest, error: problems.ProblemError) -> HttpResponse:
    return respond(request, error)


@api.exception_handler(DatabaseFailure)
@api.exception_handler(DockmgrError)
def on_refusal(request: HttpRequest, error: DockmgrError | DatabaseFailure) -> HttpResponse:
    return respond(request, problems.of_error(error))


@api.exception_handler(HttpError)
def on_http_error(request: HttpRequest, error: HttpError) -> HttpResponse:
    return respond(request, problems.of_status(error.status_code))


@api.exception_handler(Http404)
def on_not_found(request: HttpRequest, _error: Http404) -> HttpResponse:
    return respond(request, problems.of_status(404))


@api.exception_handler(ValidationError)
def on_malformed(request: HttpRequest, error: ValidationError) -> HttpResponse:
    """Says what is wrong where; never what was sent."""
    errors = [{"location": _location(e["loc"]), "message": _message(e)} for e in error.errors[:MOST_ERRORS]]
    first = f"{errors[0]['location']}: {errors[0]['message']}"
    return respond(request, problems.ProblemError(422, first, errors=errors))


@api.exception_handler(Exception)
def on_defect(_request: HttpRequest, error: Exception) -> NoReturn:
    """Django logs it; the middleware says that it happened."""
    raise error


def _location(parts: tuple[int | str, ...]) -> str:
    """Where, in words that can be shown: a name that is none may be anything, even a secret."""
    words = [str(part) for part in parts if isinstance(part, int) or WORD.fullmatch(part)]
    return ".".join(word for word in words if word != BODY)


def _message(error: ErrorDetails | dict[str, Any]) -> str:
    """What is wrong; where pydantic would show a character of what was sent, without that."""
    said = str(error["msg"]).removeprefix("Value error, ")
    return said.partition(",")[0] if error["type"] == "uuid_parsing" else said
