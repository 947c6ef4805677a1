"""Which of our errors an engine's refusal is, judged by HTTP status and explanation."""

from __future__ import annotations

import re
from collections.abc import Callable

from instances.errors import (
    BetweenRuns,
    ContainerHung,
    DataMissing,
    DiskFull,
    DockmgrError,
    EngineUnreachable,
    LoginRefused,
    NameTaken,
    NoPlace,
    NoSuchCall,
    NotFoundOnEngine,
    OutOfReachError,
    PermanentError,
    PortTaken,
    RetryLater,
    TaskLeftBehind,
    TransientError,
    UntrustedRegistry,
)

Kind = Callable[[int, str], type[DockmgrError]]

_PORT_TAKEN = ("port is already allocated", "address already in use")
# The first of an address in a network: of a port more is said before these words.
_NO_PLACE = re.compile(
    r"(?:^|networking: )address already in use\.?$|requested ip address \S+ is already allocated"
    r"|no available (?:ipv[46] )?address|failed to find free ip|endpoint with name \S+ already exists",
    re.IGNORECASE,
)
_NO_SOURCE = (
    *("bind source path does not exist", "error evaluating symlinks from mount source"),
    *("error while mounting volume", "error mounting volume", "failed to mount local volume"),
)
_OTHER_VERSION = ("client version",)
# Two processes make the same network: the later one is refused before the earlier one's can be seen.
_BEING_MADE = ("networks have same bridge name",)
_MAY_PASS = ("already in progress", *_BEING_MADE, *_OTHER_VERSION)
_NOT_KILLED = ("did not receive an exit event",)  # newer engines say so where older ones say nothing for ever
_BEING_REMOVED = ("marked for removal",)
_BETWEEN_RUNS = re.compile(r"sandbox \w+ not found")  # of the network, which each run has anew
# In containerd, of the run that was to be.
_TASK_LEFT = re.compile(r"\btask \w+: already exists|failed to start shim: mkdir \S+: file exists")
# Of a proxy before the engine that does not reach it, and of an engine whose own parts are away.
_AWAY_BEHIND = (502, 503, 504)
_PARTS_AWAY = re.compile(r"dial unix\W\S*containerd\.sock")  # a container may mount that file
_WANTS_TLS = ("client sent an http request to an https server",)
# Podman calls it a failure of its own when it refuses something; Docker does where somebody is in no network.
_REFUSED = (
    "is not connected to the network",
    *("cannot assign requested address", "name is already in use", "unique constraint failed"),
    *("fill out specgen", "network not found", "oci permission denied", "is not a directory"),
    "oci runtime attempted to invoke a command that was not found",
)
# What a runtime says of a container it can't make: the same words come each time it is asked.
_RUNTIME = ("oci runtime create failed", "failed to create task for container", "oci runtime error")
_OF_THE_CONTAINER = (
    *("invalid argument", "operation not permitted", "permission denied", "no such file or directory"),
    *("not a directory", "executable file not found", "exec format error", "no such device"),
    *("is not in a separate kernel namespace", "is not a separate kernel namespace", "unknown capability"),
)
# A log driver that can't take its options; one that does not reach its receiver may do so later.
_LOG = ("failed to initialize logging driver",)
AWAY = (
    *("dial ", "connection refused", "connection reset", "timeout", "deadline exceeded", "no route to host"),
    *("no such host", "delivery error", "unexpected eof", "temporarily unavailable"),
)
_NO_RUNTIME = ("unable to retrieve oci runtime error", 'exec: "runc"', 'exec: "crun"')
_NO_ROUTE = re.compile(r"(?:page )?not found\.?")
_NAME_TAKEN = re.compile(r"container name \S+ is already in use")
_NO_SUCH_IMAGE = ("not found", "manifest unknown", "does not exist", "no such image")
_NO_REGISTRY = (
    *("dial tcp", "connection refused", "connection reset", "no route to host", "no such host"),
    *("timeout", "unexpected eof", "http status: 50"),
)
_LOGIN_REFUSED = (
    *("unauthorized", "denied", "no basic auth credentials", "authentication required"),
    *("http status: 401", "http status: 403"),
)
_UNTRUSTED = ("x509:",)
_REGISTRY_REFUSES = (
    *("no matching manifest", "invalid reference"),
    *("server gave http response to https client", "first record does not look like a tls handshake"),
)
_REFUSALS: tuple[tuple[tuple[str, ...], type[DockmgrError]], ...] = (
    (_LOGIN_REFUSED, LoginRefused),
    (_UNTRUSTED, UntrustedRegistry),
    (_REGISTRY_REFUSES, PermanentError),
)
_FULL = ("no space left on device", "disk quota exceeded")
_TOO_MANY = ("toomanyrequests", "too many requests", "http status: 429")
_TOLD_WAIT = re.compile(r"retry-after\W{1,4}(\d{1,6}(?:\.\d{1,9})?) ?(µs|us|ms|s|m)?", re.ASCII)
_UNITS = {"µs": 1e-6, "us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}


def call_refused(status: int, text: str) -> type[DockmgrError]:
    """The error for a refused call. A missing object is named as such only by the engine's own words:
    a proxy's 404 must not look like a container that is gone. One that is being removed is gone."""
    says = _finder(text)
    if status in _AWAY_BEHIND:
        return EngineUnreachable
    if _PARTS_AWAY.search(text):
        return OutOfReachError
    if _NO_PLACE.search(text):
        return NoPlace
    if says(_PORT_TAKEN):
        return PortTaken
    if says(_FULL) and not says(_RUNTIME):  # a runtime may speak of a limit of the container's own
        return DiskFull
    if says(_NO_SOURCE):
        return DataMissing
    if _BETWEEN_RUNS.search(text):
        return BetweenRuns
    if _TASK_LEFT.search(text):
        return TaskLeftBehind
    if says(_MAY_PASS) or status in (408, 429):
        return TransientError
    if says(_NOT_KILLED):
        return ContainerHung
    if (status == 404 and says(("no such",))) or says(_BEING_REMOVED):
        return NotFoundOnEngine
    if 400 <= status < 500 or status == 501 or says(_REFUSED) or _is_of_the_container(says):
        return PermanentError
    return TransientError


def _is_of_the_container(says: Callable[[tuple[str, ...]], bool]) -> bool:
    """Whether a runtime refuses what the container is to be; one that is not there itself may be again."""
    of_its_log = says(_LOG) and not says(AWAY)
    return of_its_log or (says(_RUNTIME) and says(_OF_THE_CONTAINER) and not says(_NO_RUNTIME))


def creation_refused(status: int, text: str) -> type[DockmgrError]:
    """The error for a refused creation of a container, whose name another one may have."""
    return NameTaken if _NAME_TAKEN.search(text.lower()) else call_refused(status, text)


def network_refused(status: int, text: str) -> type[DockmgrError]:
    """The error for a refused question about a network, a missing one of which has words of its own."""
    gone = status == 404 and "network" in text.lower()
    return NotFoundOnEngine if gone else call_refused(status, text)


def policy_refused(status: int, text: str) -> type[DockmgrError]:
    """The error for a refused change of a restart policy, a call that Podman has since 5."""
    unknown = status == 404 and _NO_ROUTE.fullmatch(text.strip().lower()) is not None
    return NoSuchCall if unknown else call_refused(status, text)


def usage_refused(status: int, text: str) -> type[DockmgrError]:
    """The error for a refused question about a container's use. Podman 4 says nothing of one that is gone."""
    return NotFoundOnEngine if status == 404 else call_refused(status, text)


def pull_refused(status: int, text: str) -> type[DockmgrError]:
    """The error for a refused pull; `status` is 0 when the refusal came inside the answer's stream."""
    says = _finder(text)
    if says(_TOO_MANY):
        return RetryLater
    if says(_FULL):
        return DiskFull
    if says(_NO_REGISTRY):
        return OutOfReachError
    if says(_NO_SUCH_IMAGE):
        return NotFoundOnEngine
    for phrases, kind in _REFUSALS:
        if says(phrases):
            return kind
    if status in _AWAY_BEHIND:  # of the registry, or of the engine
        return OutOfReachError
    return call_refused(status, text)


def told_wait(text: str) -> float | None:
    """Seconds to wait that a registry names in its words; engines do not hand its headers on."""
    found = _TOLD_WAIT.search(text.lower())
    return float(found[1]) * _UNITS[found[2] or "s"] if found else None


def wants_tls(text: str) -> str:
    """That the engine speaks TLS where it was asked in clear; empty for anything else it says."""
    asked_in_clear = _finder(text)(_WANTS_TLS)
    return "it speaks TLS there: give the host tls files" if asked_in_clear else ""


def speaks_of_version(text: str) -> bool:
    """Whether the engine no longer speaks the API version that was negotiated: it was replaced."""
    return _finder(text)(_OTHER_VERSION)


def _finder(text: str) -> Callable[[tuple[str, ...]], bool]:
    lowered = text.lower()
    return lambda phrases: any(phrase in lowered for phrase in phrases)
