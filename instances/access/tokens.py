"""API tokens: made once and shown once, recognised by their hash, ordered by what they may do."""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
import secrets
from datetime import datetime, timedelta

from django.db import Error as DatabaseFailure
from django.db import IntegrityError, transaction
from django.db.models import Q

from instances import lookup
from instances.access.reach import Reach
from instances.db.errors import database_sentence, takes_no_writes
from instances.errors import RequestError
from instances.models import ApiToken

logger = logging.getLogger(__name__)

EVERYTHING = Reach()
SCOPES = ("read", "operate", "admin")
SECRET_BYTES = 32
SHOWN = 10  # characters of a token by which people tell it from others
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")
FORM = re.compile(r"dm_[A-Za-z0-9_-]{43}")
USE_NOTED_EVERY = timedelta(minutes=1)


def issue(
    name: str,
    scope: str,
    by: str,
    now: datetime,
    expires_at: datetime | None = None,
    limit: Reach = EVERYTHING,
) -> tuple[ApiToken, str]:
    """A new token and its secret text, which can't be had again. Raises RequestError."""
    if not NAME.fullmatch(name):
        raise RequestError("A token's name has up to 60 letters, digits, dots, hyphens and underscores.")
    if scope not in SCOPES:
        raise RequestError(f"The scope must be one of {', '.join(SCOPES)}.")
    if expires_at is not None and expires_at <= now:
        raise RequestError("The token would have expired already.")
    text = f"dm_{secrets.token_urlsafe(SECRET_BYTES)}"
    try:
        with transaction.atomic():
            token = ApiToken.objects.create(
                name=name,
                scope=scope,
                customers=sorted(limit.customers),
                plans=sorted(limit.plans),
                hosts=sorted(limit.hosts),
                prefix=text[:SHOWN],
                digest=digest(text),
                created_by=by,
                created_at=now,
                expires_at=expires_at,
            )
    except IntegrityError:
        raise RequestError(f"There is a token named {name} already.") from None
    return token, text


def revoke(name: str, now: datetime) -> ApiToken:
    """End a token at once; one that was revoked before is left as it is. Raises RequestError."""
    token = lookup.token(name)
    if ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=now):
        token.revoked_at = now
    return token


def recognise(text: str, now: datetime) -> ApiToken | None:
    """The token of this text, if it is one and still in force; notes its use once a minute."""
    if not FORM.fullmatch(text):
        return None
    wanted = digest(text)
    token = ApiToken.objects.filter(digest=wanted).first()
    if token is None or not hmac.compare_digest(token.digest, wanted) or not in_force(token, now):
        return None
    _note_use(token, now)
    return token


def in_force(token: ApiToken, now: datetime) -> bool:
    return token.revoked_at is None and (token.expires_at is None or now < token.expires_at)


def allows(token: ApiToken, scope: str) -> bool:
    """Whether the token's scope covers another: admin covers operate, which covers read."""
    return SCOPES.index(token.scope) >= SCOPES.index(scope)


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _note_use(token: ApiToken, now: datetime) -> None:
    before = now - USE_NOTED_EVERY
    if token.last_used_at is None or token.last_used_at <= before:
        stale = Q(last_used_at=None) | Q(last_used_at__lte=before)
        try:
            ApiToken.objects.filter(stale, pk=token.pk).update(last_used_at=now)
        except DatabaseFailure as error:
            if not takes_no_writes(error):
                raise
            logger.warning("The use of token %s is not noted: %s", token.name, database_sentence(error))
