"""What goes wrong, as RFC 9457 problem documents: one sentence each, never a secret."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, TypeVar

from django.db import Error as DatabaseFailure
from django.http import HttpResponse

from instances.db.errors import database_sentence
from instances.errors import (
    BusyError,
    DockmgrError,
    NotAllowed,
    OutOfReachError,
    RequestError,
    TransientError,
)
from tasks.broker.rpc import NoAnswer

Row = TypeVar("Row")
CONTENT_TYPE = "application/problem+json"
PREFIX = "urn:dockmgr:problem:"
# The kind of problem a status stands for; 409 has several, of which `conflict` is the general one.
KINDS = {
    400: "unreadable",
    401: "unauthenticated",
    403: "forbidden",
    404: "unknown",
    405: "method",
    409: "conflict",
    411: "no-length",
    413: "too-large",
    422: "malformed",
    414: "too-large",
    429: "too-many",
    431: "too-large",
    500: "defect",
    503: "out-of-reach",
    504: "no-answer",
}
DETAILS = {
    400: "The request can't be understood.",
    404: "There is nothing at this address.",
    405: "This address does not take that method.",
    411: "The request does not state the length of its body: send Content-Length.",
    413: "The request is larger than 64 KiB.",
    414: "The address is longer than 8 KiB.",
    431: "The headers are larger than is taken.",
    500: "dockmgr itself failed here; its log has the details.",
    503: "Something dockmgr needs is out of reach.",
}
RETRY_SECONDS = {503: 10, 504: 5}


class ProblemError(Exception):
    """Ends a call with a problem: `detail` is one sentence, `errors` say what was malformed where."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        kind: str | None = None,
        errors: list[dict[str, str]] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.errors = status, detail, errors
        self.kind = kind or KINDS.get(status, "refused")
        self.headers = dict(headers or {})

    def document(self) -> dict[str, Any]:
        return {
            "type": PREFIX + self.kind,
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            **({"errors": self.errors} if self.errors else {}),
        }

    def response(self) -> HttpResponse:
        wait = RETRY_SECONDS.get(self.status)
        headers = ({"Retry-After": str(wait)} if wait else {}) | self.headers
        return HttpResponse(
            json.dumps(self.document()), status=self.status, content_type=CONTENT_TYPE, headers=headers
        )


def of_status(status: int, headers: Mapping[str, str] | None = None) -> ProblemError:
    """The problem a bare status stands for, for answers that are not the API's own."""
    return ProblemError(status, DETAILS.get(status, HTTPStatus(status).description + "."), headers=headers)


def unknown(sentence: str) -> ProblemError:
    return ProblemError(404, sentence)


def existing(look_up: Callable[[Any], Row], wanted: object) -> Row:
    """What a look-up finds; its sentence becomes a ProblemError 404: the form has been checked by then."""
    try:
        return look_up(wanted)
    except RequestError as error:
        raise unknown(str(error)) from None


def of_error(error: DockmgrError | DatabaseFailure) -> ProblemError:
    """The problem an error of the domain stands for.

    The forms of all values have been checked by then: what the domain still refuses does not fit
    how things stand.
    """
    if isinstance(error, DatabaseFailure):
        return ProblemError(503, database_sentence(error))
    sentence = " ".join(str(error).split())
    if isinstance(error, NotAllowed):
        return ProblemError(403, sentence)
    if isinstance(error, BusyError):
        return ProblemError(409, sentence, kind="busy", headers={"Retry-After": "5"})
    if isinstance(error, RequestError):
        return ProblemError(409, sentence)
    if isinstance(error, NoAnswer):
        return ProblemError(504, sentence)
    if isinstance(error, OutOfReachError | TransientError):
        return ProblemError(503, sentence)
    return ProblemError(500, sentence)
