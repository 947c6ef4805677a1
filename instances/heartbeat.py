"""Telling an outside monitor that sweeps go on: it raises the alarm when nothing here can any more."""

from __future__ import annotations

import logging
import queue
import threading
from http.client import HTTPException
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, build_opener

logger = logging.getLogger(__name__)

BOUND = 5.0  # seconds for all of it


class _OneRedirect(HTTPRedirectHandler):
    max_redirections = 1


def ping(url: str | None, bound: float = BOUND) -> bool:
    """GET the heartbeat URL, if there is one; whether it answered with 2xx within `bound` seconds.

    A failure is logged without the URL, which is a secret. Proxies of the environment are used.
    """
    if not url:
        return False
    said: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_ask, args=(url, bound, said), name="heartbeat", daemon=True).start()
    try:
        trouble = said.get(timeout=bound)
    except queue.Empty:  # the client's own timeout counts anew with every byte
        trouble = "did not answer in time"
    if trouble:
        logger.warning("The heartbeat URL %s (DOCKMGR_HEARTBEAT_URL).", trouble)
    return not trouble


def _ask(url: str, bound: float, said: queue.SimpleQueue[str]) -> None:
    """Not by `requests`, whose library logs the addresses of answers it finds odd."""
    try:
        if urlsplit(url).scheme not in ("http", "https"):
            raise ValueError("not an address to ask")
        with build_opener(_OneRedirect).open(url, timeout=bound):
            said.put("")
    except HTTPError as error:
        error.close()
        said.put(f"answered {error.code}")
    except (OSError, HTTPException, ValueError) as error:
        cause = error.reason if isinstance(error, URLError) else error
        said.put(f"can't be reached: {type(cause).__name__}")
