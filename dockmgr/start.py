"""What every process asks before it begins to work."""

from __future__ import annotations

from django.db import Error as DatabaseFailure
from django.db import connections

from instances.errors import WrongKeys


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
