"""Why the broker's Redis does not do what it is asked, in words of our own: pure."""

from __future__ import annotations

import re
import ssl

from kombu.exceptions import BatchPublishError, OperationalError  # type: ignore[attr-defined]  # older stubs
from redis import exceptions

from instances.lib.causes import causes, way_lost

# What a call of ours fails with where the broker is away, or refuses.
LOST_BROKER = (OperationalError, BatchPublishError, exceptions.RedisError)
# What a worker meets for which no message can be blamed; RuntimeError is that of one without a thread left.
NO_FAULT_OF_A_MESSAGE = (*LOST_BROKER, OSError, MemoryError, RuntimeError)
OUT_OF_REACH = "The broker can't be reached (DOCKMGR_BROKER_URL)."
CLUSTER = "it is part of a cluster, which dockmgr does not use"
NO_CHANNELS = "its user may use no channels, as new users of Redis 7 may not (ACL: allchannels)"
# What a Redis says when it refuses.
REFUSALS = {
    "one of the channels": NO_CHANNELS,
    "access a channel": NO_CHANNELS,
    "WRONGPASS": "its user name or password is wrong",
    "NOAUTH": "it wants a user name and a password",
    "ERR AUTH": "it knows no password, and one is given",
    **dict.fromkeys(
        ("NOPERM", "executing the script can't run"), "the user may not do that there; its rights are too few"
    ),
    "OOM": "its memory is full (maxmemory)",
    "MISCONF": "it can't save to its disk",
    "READONLY": "it is a replica, which takes no writes",
    "LOADING": "it is still loading its data",
    "NOREPLICAS": "it has fewer replicas than it wants for writes (min-replicas-to-write)",
    "cluster mode": CLUSTER,
    **dict.fromkeys(
        ("unknown command", "Wrong number of args"),
        "it lacks a command: it is older than version 6.2, a Sentinel, or has renamed some",
    ),
    "max number of clients": "it has as many connections as it takes (maxclients)",
    "DENIED": "it is in protected mode and takes nobody from elsewhere",
    "DB index": "it has no database of that number",
    "ERR DB": "it has no database of that number",
}
OF_KINDS: tuple[tuple[type[Exception], str], ...] = (
    (exceptions.OutOfMemoryError, REFUSALS["OOM"]),
    (exceptions.NoPermissionError, REFUSALS["NOPERM"]),
    (exceptions.ReadOnlyError, REFUSALS["READONLY"]),
    (exceptions.BusyLoadingError, REFUSALS["LOADING"]),
    (exceptions.AuthenticationError, REFUSALS["WRONGPASS"]),
    (exceptions.MasterDownError, "it is a replica whose master is away"),
    (exceptions.ClusterDownError, CLUSTER),
    (exceptions.MovedError, CLUSTER),
    (exceptions.ClusterCrossSlotError, CLUSTER),
    (ssl.SSLCertVerificationError, "its certificate is not trusted"),
    (ssl.SSLError, "TLS can't be agreed on; does it speak TLS on this port?"),
)
_ASKED_WITH_OTHERS = " of pipeline caused error: "  # before it the client shows the command
_FORBIDDEN = re.compile("permissions to run the '([a-z|]{1,40})' command")


def broker_sentence(error: BaseException) -> str:
    """What failed, for an operator; shows nothing of the URL or of what was sent."""
    for cause in causes(error):
        if reason := _reason(cause):
            return f"The broker refuses: {reason} (DOCKMGR_BROKER_URL)."
    lost = next(filter(None, (way_lost(str(cause)) for cause in causes(error))), "")
    return f"The broker can't be reached: {lost} (DOCKMGR_BROKER_URL)." if lost else OUT_OF_REACH


def is_of_the_message(error: Exception) -> bool:
    """Whether what a worker met with a message lies in the message: it would meet it again."""
    of_another_kind = isinstance(error, exceptions.DataError | RecursionError)
    return of_another_kind or not isinstance(error, NO_FAULT_OF_A_MESSAGE)


def _reason(error: BaseException) -> str | None:
    text = str(error).rpartition(_ASKED_WITH_OTHERS)[2][:200]
    if forbidden := _FORBIDDEN.search(text):
        return f"its user may not run {forbidden[1]} (ACL)"
    for words, reason in REFUSALS.items():
        if words in text:
            return reason
    return next((reason for kind, reason in OF_KINDS if isinstance(error, kind)), None)
