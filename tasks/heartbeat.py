"""A sign of life to an outside monitor after each sweep."""

from __future__ import annotations

import logging

from django.conf import settings

from instances.errors import OutOfReachError
from instances.monitoring import heartbeat
from tasks.app import task
from tasks.broker.connection import reaching_broker

logger = logging.getLogger(__name__)


@task("dockmgr.ping_heartbeat")
def ping_heartbeat() -> None:
    """Tell the outside monitor of DOCKMGR_HEARTBEAT_URL that a sweep is through."""
    heartbeat.ping(settings.HEARTBEAT_URL)


def announce_sweep() -> None:
    """Have the workers ping the heartbeat URL, if there is one; without a broker nobody is told."""
    if not settings.HEARTBEAT_URL:
        return
    try:
        with reaching_broker():
            ping_heartbeat.apply_async(retry=False)
    except OutOfReachError as error:
        logger.warning("%s", error)
