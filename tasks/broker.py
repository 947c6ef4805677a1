"""What a broker that does not answer means to whoever wants to publish."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from instances.errors import OutOfReachError


@contextmanager
def reaching_broker() -> Iterator[None]:
    """Turn a broker's failures into one sentence. Raises OutOfReachError."""
    try:
        yield
    except (OperationalError, RedisError, RuntimeError):  # the result backend's way of giving up
        raise OutOfReachError("The broker can't be reached (DOCKMGR_BROKER_URL).") from None
