"""What to do about an incident now, in one sentence: the end of every message."""

from __future__ import annotations

from instances.alerts.pagers import OVER
from instances.incidents.hosts import ANOTHER_ENGINE, DATA_LOST, MISCONFIGURED, WAVE
from instances.incidents.rules import (
    CERTIFICATE,
    CONTAINER,
    CRASHING,
    LOG,
    OPERATION,
    ORPHANS,
    OUTSIDE,
    RESOURCES,
    clock_in,
    operation_in,
    outside_place,
)
from instances.models import Incident

NOTHING_TO_DO = "Nothing needs to be done."
_WHO_IS_LEFT = "See who is still down with `manage.py incidents --open`."
_NEW_CERTIFICATE = "Put a new one in its place before it ends; the path stays, and nothing is restarted."
_OF_THE_FLEET = "See what its hosts have in common with `manage.py incidents --open`."
_WITHOUT_CONTAINER = {
    "data_missing": "See with `manage.py validate --customer-id {customer}` what is missing or in its place. "
    "Put its data back where it was, which is found within 20 minutes; or begin anew, empty: "
    "`manage.py restart --customer-id {customer} --with-empty-data`.",
    "image_missing": "Bring exactly that image back to its host, then "
    "`manage.py restart --customer-id {customer}`.",
}
_WELL_INSIDE = "Containers are well inside, and nothing is restarted for it."
_TRY_ELSEWHERE = (
    "Ask one of them from elsewhere. If it answers there, mend the way out or the name server of dockmgr's "
    "machines; if not, what all customers have in front of them."
)
_BEFORE_CUSTOMERS = {
    "proxy": "See whether the proxy runs, what its log says, and what was changed in it last.",
    "tls": "Put a certificate in place that is valid, has these names and comes with its chain.",
    "dns": "See whether the domain is paid for, and what its name servers answer.",
}
_OF_DOCKMGR = "See which part stands still at /readyz, or with `manage.py incidents --open`."


def next_step(incident: Incident, kind: str, host: str, *, by_hand: bool) -> str:
    """`kind` is that of the message; `host` the name of the incident's host.

    `by_hand`: nothing restarts the instance automatically.
    """
    if kind in OVER:
        return _WHO_IS_LEFT if kind == "summary" else NOTHING_TO_DO
    if incident.kind == CERTIFICATE:
        return _NEW_CERTIFICATE
    if incident.kind == ORPHANS:
        return (
            f"See all, and why, with `manage.py orphans --host {host}`. `manage.py adopt` takes in what has "
            "no instance; `manage.py restart` of the customer, what his instance lost."
        )
    if incident.kind == "host":
        return _of_host(incident.cause, host)
    if incident.kind == OPERATION:
        return (
            f"Mend what holds it up, and it goes on; where the engine of host {host} is gone for good, apply "
            f"a new one for it and `manage.py accept_engine --host {host}`. Or end it: `manage.py operations "
            f"--abandon {operation_in(incident.key)} --reason …`, which says what is left where."
        )
    if incident.cause == CRASHING:
        return f"See what it said each time in the incident, and what it says now with {_logs(incident)}."
    if incident.kind == CONTAINER:
        return _validate(incident)
    if incident.kind == RESOURCES:
        return f"See how it came about with `manage.py usage`, and what it says with {_logs(incident)}."
    if incident.kind == LOG:
        return f"See what it says with {_logs(incident)}."
    if incident.kind == OUTSIDE:
        return _way_to(incident)
    if incident.kind != "instance":
        return _OF_THE_FLEET if incident.kind == "fleet" else _of_dockmgr(incident)
    return _of_instance(incident, by_hand=by_hand)


def _of_instance(incident: Incident, *, by_hand: bool) -> str:
    if incident.cause in _WITHOUT_CONTAINER:
        return _WITHOUT_CONTAINER[incident.cause].format(customer=incident.customer_id)
    if incident.cause == "replaced":
        return _validate(incident)
    logs = _logs(incident)
    if by_hand:
        return f"Read {logs}, mend the cause, then `manage.py restart --customer-id {incident.customer_id}`."
    return f"See what it says with {logs}."


def _validate(incident: Incident) -> str:
    return f"See what to do with `manage.py validate --customer-id {incident.customer_id}`."


def _of_dockmgr(incident: Incident) -> str:
    machine = clock_in(incident.key)
    return (
        f"Set the clock of {machine} right, and of the database's machine: `timedatectl`."
        if machine
        else _OF_DOCKMGR
    )


def _of_host(cause: str, host: str) -> str:
    if cause == WAVE:
        return (
            "Look at what they have in common; `manage.py incidents --open` names them, "
            "`manage.py logs --customer-id ID` says what one of them wrote."
        )
    if cause == MISCONFIGURED:
        return "Set right what it names: in the fleet file, on the workers' machine or on the host."
    if cause == ANOTHER_ENGINE:
        return f"Bring the known one back, or say that it is meant: `manage.py accept_engine --host {host}`."
    if cause == DATA_LOST:
        return (
            f"Bring the data of host {host}'s engine back, or do without it customer by customer: "
            "`manage.py restart --customer-id ID --with-empty-data`."
        )
    return f"See whether the Docker Engine of host {host} runs and can be reached from the workers."


def _way_to(incident: Incident) -> str:
    place = outside_place(incident.key)
    if place is None:
        return f"See where it ends with `manage.py validate --customer-id {incident.customer_id}`."
    kind, name = place
    if kind == "all":
        return _TRY_ELSEWHERE
    if kind == "host" and incident.cause == "proxy":
        return f"See whether the proxy reaches host {name}: address, route, packet filter. {_WELL_INSIDE}"
    return f"{_BEFORE_CUSTOMERS.get(incident.cause, 'Mend what it names.')} {_WELL_INSIDE}"


def _logs(incident: Incident) -> str:
    return f"`manage.py logs --customer-id {incident.customer_id}`"
