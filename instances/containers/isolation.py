"""What containers of customers reach that they should not: what was measured, judged. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from instances.containers.drift import Finding

METADATA = "169.254.169.254"  # where clouds tell a machine its secrets
NOT_ENFORCED = "isolation is not enforced"
RUNNING = "running"
_NO_ROUTE = {100, 101, 112, 113}  # the kernel's words for a network or a host that is not there
_REFUSED = {1, 13, 104, 111}
_TIMED_OUT = 110


class Reached(StrEnum):
    """What came of one TCP connection."""

    CONNECTED = "connected"
    REFUSED = "refused"
    NO_ROUTE = "no route"
    SILENT = "no answer"
    UNKNOWN = "not known"


@dataclass(frozen=True)
class Measured:
    """What a container of a customer reaches, and what the host itself does at the link-local address.

    `why` says why nothing is known, where nothing is.
    """

    neighbour: Reached = Reached.UNKNOWN
    host: Reached = Reached.UNKNOWN
    link_local: Reached = Reached.UNKNOWN
    link_local_of_host: Reached = Reached.UNKNOWN
    why: str = ""


def outcome(state: str, exit_code: int | None) -> Reached:
    """What the end of a program that tried one connection says; one that still tries got no answer."""
    if state == RUNNING or exit_code == _TIMED_OUT:
        return Reached.SILENT
    if state != "exited" or exit_code is None:
        return Reached.UNKNOWN
    if exit_code == 0:
        return Reached.CONNECTED
    known = ((_REFUSED, Reached.REFUSED), (_NO_ROUTE, Reached.NO_ROUTE))
    return next((reached for codes, reached in known if exit_code in codes), Reached.UNKNOWN)


def findings(measured: Measured) -> Iterator[Finding]:
    """Each of the three ways, as enforced or not."""
    yield _kept_out("isolation_neighbours", measured.neighbour, measured, "the port of another one")
    yield _kept_out("isolation_host", measured.host, measured, "a port of the host itself")
    yield _link_local(measured)


def _kept_out(name: str, reached: Reached, measured: Measured, what: str) -> Finding:
    if reached is Reached.UNKNOWN:
        return _unknown(name, measured)
    if reached is Reached.CONNECTED:
        return Finding(name, False, f"{NOT_ENFORCED}: a customer's container reaches {what}")
    return Finding(name, True, f"a customer's container does not reach {what}: {reached}")


def _link_local(measured: Measured) -> Finding:
    """Silence proves a rule only where the host itself hears something there."""
    name, reached, of_host = "isolation_link_local", measured.link_local, measured.link_local_of_host
    if Reached.UNKNOWN in (reached, of_host):
        return _unknown(name, measured)
    if reached is Reached.CONNECTED:
        return Finding(name, False, f"{NOT_ENFORCED}: a customer's container reaches {METADATA}")
    if reached is of_host:
        text = f"nothing refuses link-local addresses; nobody answers at {METADATA} at present"
        return Finding(name, False, f"{NOT_ENFORCED}: {text}")
    return Finding(name, True, f"a customer's container does not reach {METADATA}: {reached}")


def _unknown(name: str, measured: Measured) -> Finding:
    why = f": {measured.why}" if measured.why else ""
    return Finding(name, False, f"whether {NOT_ENFORCED.replace('not ', '')} could not be measured{why}")
