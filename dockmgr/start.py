"""What every process asks before it begins to work."""

from __future__ import annotations

import logging

from django.conf import settings
from django.db import Error as DatabaseFailure
from django.db import connections

from dockmgr.environment import form
from dockmgr.keys import SHORTEST
from instances.errors import WrongKeys

logger = logging.getLogger(__name__)


def wrong_keys() -> str:
    """Why the process must not begin: a sentence, empty when all is well or the database is away."""
    from instances.access.keys import require_keys  # models, which are there when the apps are

    try:
        require_keys()
    except WrongKeys as error:
        return str(error)
    except DatabaseFailure:
        return ""
    finally:
        connections.close_all()
    return ""


def warn_of_weak_key() -> None:
    """Log that the secret key can be guessed; see docs/decisions.md for why that stops nothing."""
    if len(settings.SECRET_KEY) < SHORTEST:
        has, enough = form(settings.SECRET_KEY), f"{SHORTEST} characters are hard to guess"
        logger.warning("DOCKMGR_SECRET_KEY has %s; %s: see production.md, Changing keys.", has, enough)
