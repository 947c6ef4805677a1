"""Asking twice under one `Idempotency-Key` does it once; asking for something else with it is refused."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.crypto import salted_hmac

from instances.api.call import Call
from instances.api.problems import ProblemError
from instances.models import ApiRequest, AuditEntry

SALT = "dockmgr.api.request"
TRIES = 3
SOON = {"Retry-After": "1"}
IN_DOUBT = timedelta(days=1)  # how long a noted request is passed on yet, at its caller's next try


def request_id(call: Call, key: str | None) -> str | None:
    """The key as operations know it: each token has its own."""
    return f"api:{call.caller.pk}:{key}" if key is not None else None


def note(call: Call, key: str | None, asked: dict[str, Any]) -> tuple[ApiRequest, bool]:
    """The row of this request, and whether it is the first of its key.

    Raises ProblemError 409 when the key came with another request before, and when it is given up
    again and again by others just then.
    """
    mine = ApiRequest(
        id=uuid.uuid4(),
        token=call.caller,
        key=key,
        fingerprint=_fingerprint(call, asked),
        action=call.action,
        target=call.target,
        created_at=call.now,
    )
    for _ in range(TRIES):
        earlier = _inserted_before(mine)
        if earlier is not None:
            return _same(earlier, mine), earlier is mine
    raise ProblemError(409, "This Idempotency-Key is in use; try again.", kind="busy", headers=SOON)


def _inserted_before(mine: ApiRequest) -> ApiRequest | None:
    """The row of its key: this one, now inserted, or another's; None where that has been given up since."""
    try:
        with transaction.atomic():
            mine.save(force_insert=True)
    except IntegrityError:
        return ApiRequest.objects.filter(token=mine.token, key=mine.key).first()
    return mine


def _same(earlier: ApiRequest, mine: ApiRequest) -> ApiRequest:
    if earlier.fingerprint != mine.fingerprint:
        raise ProblemError(
            409, f"This Idempotency-Key came with another request: {earlier}.", kind="key-reused"
        )
    return earlier


def taken_over(row: ApiRequest, call: Call) -> bool:
    """Whether this call is to pass on what an earlier one noted: its process ended before it could answer.

    What is answered stands in the audit log, at the very time of its row. Of several calls one takes it over.
    """
    if row.created_at + IN_DOUBT < call.now:
        return False
    if AuditEntry.objects.filter(at=row.created_at, surface="api", actor=call.actor).exists():
        return False
    untouched = ApiRequest.objects.filter(pk=row.pk, created_at=row.created_at)
    if not untouched.update(created_at=call.now):
        return False
    row.created_at = call.now
    return True


@contextmanager
def forgotten_on_failure(row: ApiRequest) -> Iterator[None]:
    """A request that could not be passed on was never made: its key may be used again."""
    try:
        yield
    except BaseException:
        row.delete()
        raise


@contextmanager
def noted(call: Call, key: str | None, asked: dict[str, Any]) -> Iterator[None]:
    """While a request is carried out, with its key noted, if it has one; what is refused leaves the key free.

    Raises ProblemError 409 when the key came with another request before.
    """
    with ExitStack() as until_done:
        if key is not None:
            row, first = note(call, key, asked)
            if first:
                until_done.enter_context(forgotten_on_failure(row))
        yield


def _fingerprint(call: Call, asked: dict[str, Any]) -> str:
    """Keyed, because what was asked for may hold secrets."""
    text = json.dumps([call.action, call.target, asked], sort_keys=True)
    return salted_hmac(SALT, text, algorithm="sha256").hexdigest()
