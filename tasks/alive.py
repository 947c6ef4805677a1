"""A file that is touched while this process does its work, for health checks that must cost nothing."""

from __future__ import annotations

import logging

from django.conf import settings

from instances.errors import OutOfReachError
from tasks.outages import SaidOnce

_trouble = SaidOnce(logging.getLogger(__name__))


def show_alive() -> None:
    """Touch DOCKMGR_ALIVE_FILE, where there is one. That it can't be touched is said once."""
    if settings.ALIVE_FILE is None:
        return
    try:
        settings.ALIVE_FILE.touch()
    except OSError as error:
        sentence = f"DOCKMGR_ALIVE_FILE can't be touched: {error.strerror}."
        _trouble.failed("Showing life", OutOfReachError(sentence))
    else:
        _trouble.worked()
