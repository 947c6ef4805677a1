"""Why a container that came to a bad end probably did, by what it or its engine said. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

KILLED = 137  # the exit code of a program that was killed
LAST_LINES = 40


@dataclass(frozen=True)
class Circumstances:
    """What is known of the container. `volumes` are paths; its plan may drop capabilities."""

    exit_code: int | None = None
    oom_killed: bool = False
    volumes: tuple[str, ...] = ()
    read_only: bool = False
    drops_capabilities: bool = False


@dataclass(frozen=True)
class _Reason:
    """A form of a line, when it counts, and what to say of it."""

    form: re.Pattern[str]
    text: str
    needs: str = ""  # the circumstance without which the line means something else


def _reason(form: str, text: str, needs: str = "") -> _Reason:
    return _Reason(re.compile(form, re.IGNORECASE), text, needs)


OUT_OF_MEMORY = "It probably ran out of memory: give the plan more memory."
WRITES_NOWHERE = (
    "It may not write where its data is: say data_owner, the numbers of the image's user and group."
)
# The first that fits is said, so what is special stands before what is general.
_REASONS = (
    _reason(
        r"mount source|mounting volume|mount local volume",
        "What is in that place on the host is lost: put it back; or remove container and volume by hand, and "
        "begin anew with restart --with-empty-data.",
    ),
    _reason(r"exec format error", "Its image is probably built for another processor than the host's."),
    _reason(
        r"read-only file ?system|\bEROFS\b",
        "It writes where the plan's hardening or read_only lets it write nothing: name the path in tmpfs or "
        "volumes, or say read_only: false.",
        "read_only",
    ),
    _reason(
        r"stat \S+: no such file or directory|executable file not found|(?:exec|exec user process)\b.*"
        r"no such file or directory",
        "Its image has no such program, or none that interprets it: see the plan's entrypoint and command.",
    ),
    _reason(
        r"(?:userland proxy|failed to bind host port)\b.*cannot assign requested address",
        "Its host has no such address of its own: see the host's bind and address in the fleet file.",
    ),
    _reason(
        r"userland proxy|port is already allocated|failed to bind host port|cannot listen on the \w+ port",
        "Something else on its host has a port it is published at: see what listens there.",
    ),
    _reason(
        r"address (?:already )?in use|\bEADDRINUSE\b",
        "Two of its own programs want one port: see the ports in its command and environment.",
    ),
    _reason(
        r"operation not permitted|\bEPERM\b|(?:setuid|setgid|setgroups|chown)\b.*not permitted",
        "It lacks a capability that the plan's hardening or cap_drop takes away: name it in cap_add.",
        "drops_capabilities",
    ),
    _reason(r"permission denied|\bEACCES\b", WRITES_NOWHERE, "volumes"),
    _reason(r"out of memory|cannot allocate memory|\bOOM\b|heap out of memory", OUT_OF_MEMORY),
    _reason(
        r"effective uid is not 0|no new privileges|sudo: .*must be owned by uid 0",
        "It wants to become root, which no-new-privileges keeps it from: say security_opt: "
        "[no-new-privileges:false].",
    ),
    _reason(
        r"(?:s6-overlay|suexec|init)\S*: .*(?:can only run as pid 1|must be (?:run as )?pid 1)",
        "Its image has an init of its own: say init: false.",
    ),
    _reason(r"no space left on device|\bENOSPC\b", "A disk or a tmpfs it writes to is full."),
)


def likely_reason(lines: Sequence[str], error: str, known: Circumstances) -> str:
    """One sentence about the probable reason and what to say in the plan; empty where none is known.

    `lines` are the end of the container's log, `error` is what went wrong with it.
    """
    if known.oom_killed:
        return OUT_OF_MEMORY
    said = [error, *reversed(lines[-LAST_LINES:])]
    for reason in _REASONS:
        if reason.needs and not getattr(known, reason.needs):
            continue
        if any(reason.form.search(line) for line in said):
            return reason.text
    return OUT_OF_MEMORY if known.exit_code == KILLED else ""
