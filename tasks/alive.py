"""A file that is touched while this process does its work, for health checks that must cost nothing."""

from __future__ import annotations

import logging

from django.conf import settings

logger = logging.getLogger(__name__)


def show_alive() -> None:
    """Touch DOCKMGR_ALIVE_FILE, where there is one."""
    if settings.ALIVE_FILE is None:
        return
    try:
        settings.ALIVE_FILE.touch()
    except OSError as error:
        logger.error("DOCKMGR_ALIVE_FILE can't be touched: %s.", error.strerror)
