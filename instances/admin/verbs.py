"""What can be done to an instance from its page: each verb, who may use it, what is asked first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django import forms
from django.db.models import QuerySet
from django.http import HttpRequest

from instances.admin import trail
from instances.alerts import mute
from instances.db.clock import SYSTEM
from instances.errors import RequestError
from instances.models import Instance, LastWords, Operation
from instances.operations import service
from instances.operations.requester import Requester
from tasks.checks import enqueue_checks
from tasks.operations import enqueue_or_withdraw

OPERATE = "instances.operate_instance"
CHOOSE_IMAGE = "instances.choose_image"
LOGS = "instances.view_logs"
REASON_LENGTH = 255
LAST_WORDS_SHOWN = 10
ENDS = {"rolled_back": "was rolled back"}
MUTES = (("30m", "30 minutes"), ("2h", "2 hours"), ("8h", "8 hours"), ("1d", "1 day"), ("7d", "7 days"))


def shown_last_words(request: HttpRequest, rows: QuerySet[LastWords]) -> list[LastWords]:
    """What containers wrote last, for those who may read logs."""
    return list(rows.order_by("-at", "-pk")[:LAST_WORDS_SHOWN]) if request.user.has_perm(LOGS) else []


class ReasonForm(forms.Form):
    """Why it is done. The request id makes sending the form twice the same as sending it once."""

    reason = forms.CharField(max_length=REASON_LENGTH, label="Reason")
    request_id = forms.RegexField(r"^[0-9a-f-]{36}$", required=False, widget=forms.HiddenInput)


class OptionalReasonForm(ReasonForm):
    reason = forms.CharField(max_length=REASON_LENGTH, required=False, label="Reason (if there is one)")


class UpdateForm(ReasonForm):
    image = forms.CharField(
        max_length=512,
        required=False,
        label="Image",
        help_text="Leave empty for what the plan's image reference names now. One that the plan may not run "
        "takes the permission to choose images.",
    )


class MuteForm(ReasonForm):
    lasts = forms.ChoiceField(choices=MUTES, label="For how long")


class DecommissionForm(ReasonForm):
    confirmed = forms.CharField(max_length=63, label="Customer id, typed once more")
    purge_data = forms.BooleanField(required=False, label="Delete the data volume too, for ever")


@dataclass(frozen=True)
class VerbRequest:
    """A verb with its filled-in form: on which instance, by whom."""

    instance: Instance
    requester: Requester
    fields: dict[str, Any]


@dataclass(frozen=True)
class Verb:
    """`carry_out` returns what was done in one sentence; it raises DockmgrError. `warning` is shown first."""

    name: str
    label: str
    icon: str
    carry_out: Callable[[VerbRequest], str]
    form: type[ReasonForm] = ReasonForm
    warning: str = ""
    permission: str = OPERATE
    grave: bool = False


def verb_request(request: HttpRequest, instance: Instance, fields: dict[str, Any]) -> VerbRequest:
    """Who asks what with these fields, as the request says."""
    request_id = fields["request_id"]
    requester = Requester(
        trail.actor(request),
        fields["reason"],
        f"desk:{request_id}" if request_id else None,
        may_choose_image=request.user.has_perm(CHOOSE_IMAGE),
        surface="admin",
        address=trail.address(request),
    )
    return VerbRequest(instance, requester, fields)


def _queued(operation: Operation) -> str:
    """Hand it to the workers, unless the same form began it before and it is over by now."""
    what = f"The {operation.kind} of {operation.customer_id}"
    if operation.finished_at is not None:
        ended = ENDS.get(operation.status, operation.status)
        return f"{what} was ordered with this form before: it {ended}."
    enqueue_or_withdraw(operation)
    return f"{what} is queued."


def _check(wanted: VerbRequest) -> str:
    enqueue_checks([wanted.instance.customer_id])
    said = f"A check of {wanted.instance.customer_id} is queued."
    return f"{said} It is paused: what the check sees does not count." if _is_paused(wanted) else said


def _is_paused(wanted: VerbRequest) -> bool:
    return bool(wanted.instance.health.status == "paused")


def _restart(wanted: VerbRequest) -> str:
    return _queued(service.begin_restart(wanted.instance.customer_id, wanted.requester))


def _update(wanted: VerbRequest) -> str:
    image = wanted.fields["image"] or None
    return _queued(service.begin_update(wanted.instance.customer_id, wanted.requester, image=image))


def _pause(wanted: VerbRequest) -> str:
    service.pause(wanted.instance.customer_id, wanted.requester)
    return f"{wanted.instance.customer_id} is paused: no checks, no healing, no alerts."


def _resume(wanted: VerbRequest) -> str:
    service.resume(wanted.instance.customer_id)
    return f"{wanted.instance.customer_id} is looked after again."


def _mute(wanted: VerbRequest) -> str:
    scope = mute.Scope("instance", wanted.instance)
    ends = mute_as_asked(scope, wanted.fields, wanted.requester.requested_by)
    return f"{wanted.instance.customer_id} is muted {ends}."


def mute_as_asked(scope: mute.Scope, fields: dict[str, Any], by: str) -> str:
    """Mute for as long as a form says; returns until when, in words. Raises RequestError."""
    now = SYSTEM.now()
    until = mute.end(fields["lasts"], None, now)
    mute.mute(scope, until, now, by=by, reason=fields["reason"])
    return f"until {until:%Y-%m-%d %H:%M} UTC"


def _unmute(wanted: VerbRequest) -> str:
    scope, asked = mute.Scope("instance", wanted.instance), wanted.requester
    ended = mute.unmute(scope, SYSTEM.now(), by=asked.requested_by, reason=asked.reason)
    return f"{wanted.instance.customer_id} {'is no longer' if ended else 'was not'} muted."


def _decommission(wanted: VerbRequest) -> str:
    customer_id = wanted.instance.customer_id
    if wanted.fields["confirmed"] != customer_id:
        raise RequestError(f"To decommission {customer_id}, type its customer id exactly.")
    purge = wanted.fields["purge_data"]
    return _queued(service.begin_decommission(customer_id, wanted.requester, purge_data=purge))


INTERRUPTS = "The customer is interrupted while the container {}."
VERBS = {
    verb.name: verb
    for verb in (
        Verb("check", "Check", "monitor_heart", _check, OptionalReasonForm),
        Verb("restart", "Restart", "restart_alt", _restart, warning=INTERRUPTS.format("stops and starts")),
        Verb("update", "Update", "upgrade", _update, UpdateForm, INTERRUPTS.format("is replaced")),
        Verb("pause", "Pause", "pause", _pause, warning="Nobody is told if it fails while it is paused."),
        Verb("resume", "Resume", "play_arrow", _resume, OptionalReasonForm),
        Verb("mute", "Mute", "notifications_off", _mute, MuteForm, "Nothing is sent and nothing is healed."),
        Verb("unmute", "Unmute", "notifications", _unmute, OptionalReasonForm),
        Verb(
            "decommission",
            "Decommission",
            "delete",
            _decommission,
            DecommissionForm,
            "The container is removed and the customer is cut off.",
            permission="instances.decommission",
            grave=True,
        ),
    )
}


def applicable(status: str, muted: bool) -> list[Verb]:
    """The verbs that make sense now."""
    left_out = {"pause" if status == "paused" else "resume", "mute" if muted else "unmute"}
    return [verb for verb in VERBS.values() if verb.name not in left_out]
