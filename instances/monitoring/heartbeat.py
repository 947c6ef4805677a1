"""Telling an outside monitor that sweeps go on: it raises the alarm when nothing here can any more."""

from __future__ import annotations

import logging

from instances.http.client import NoAnswerError, Request, ask

logger = logging.getLogger(__name__)

BOUND = 5.0  # seconds for all of it


def ping(url: str | None, bound: float = BOUND) -> bool:
    """GET the heartbeat URL, if there is one; whether it answered with 2xx within `bound` seconds.

    A failure is logged without the URL, which is a secret. One redirect is followed.
    """
    if not url:
        return False
    trouble = _trouble(url, bound)
    if trouble:
        logger.warning("The heartbeat URL %s (DOCKMGR_HEARTBEAT_URL).", trouble)
    return not trouble


def _trouble(url: str, bound: float) -> str:
    try:
        status = ask(Request(url), bound, redirects=1).status_code
    except NoAnswerError as error:
        return "did not answer in time" if error.code == "timeout" else f"can't be reached: {error.code}"
    return "" if 200 <= status < 300 else f"answered {status}"
