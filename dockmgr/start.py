"""What every process asks before it begins to work."""

from __future__ import annotations

import logging
from contextlib import closing, suppress

from django.conf import settings
from django.db import Error as DatabaseFailure
from django.db import connections

from dockmgr.environment import form
from dockmgr.keys import SHORTEST
from instances.errors import OutOfReachError, WrongKeys

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


def warn_of_evictions() -> None:
    """Log that the broker drops what waits when it is full, where its user may ask for that."""
    from tasks.broker.connection import ANSWER_SECONDS, reaching_broker, redis_at

    with (
        suppress(OutOfReachError),
        reaching_broker(),
        closing(redis_at(settings.CELERY_BROKER_URL, ANSWER_SECONDS)) as client,
    ):
        memory = client.info("memory")
        policy = str(memory.get("maxmemory_policy"))
        if memory.get("maxmemory") and policy.startswith("allkeys"):
            logger.warning(
                "The broker drops messages when it is full: its maxmemory-policy is %s, not noeviction.",
                policy,
            )
