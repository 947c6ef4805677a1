"""The look before a container is adopted: does it answer well at the place where dockmgr will ask?"""

from __future__ import annotations

from django.conf import settings
from msgspec.structs import replace

from instances.checks.asking import asks_network
from instances.checks.check_requests import request_for
from instances.checks.observe import RUNNING, Check, observe
from instances.checks.policy import policy
from instances.checks.transition import change
from instances.containers.published import Binding, is_there, may_be
from instances.errors import DockmgrError, NotWell, OutOfReachError
from instances.health.assess import assess
from instances.health.response import Outcome, sentence
from instances.health.state import Observation, State, Status
from instances.models import Instance
from instances.outside import Outside

ALL_THE_SAME = "with --force it is, and not restarted automatically before it was healthy once"


def look_once(draft: Instance, outside: Outside) -> Check:
    """A real probe of the URL at which the instance will be asked; `draft` need not be saved."""
    return observe(request_for(draft, RUNNING), outside, settings.PROBE_TIMEOUT)


def refusal(draft: Instance, place: Binding | None, check: Check) -> DockmgrError | None:
    """Why a container that was looked at is not adopted without force; None where it is well."""
    seen = check.seen
    place_fits = place is None or may_be(place, draft.host.address) or not asks_network(check.request.ask)
    if seen.outcome is Outcome.OK and place_fits:
        return None
    what = f"The container {draft.container} was not adopted: at {check.request.url} {_what(seen)}"
    kind = OutOfReachError if seen.outcome is Outcome.UNKNOWN else NotWell
    return kind(f"{what}{_elsewhere(draft, place)}; {ALL_THE_SAME}.")


def _what(seen: Observation) -> str:
    """What was seen instead of the container being well, as a part of a sentence."""
    if seen.outcome is Outcome.OK:
        return "something else answers"
    if seen.outcome is Outcome.STARTING:
        return "it is still starting"
    text = seen.error or sentence(seen.reason)
    return text[:1].lower() + text[1:].rstrip(".")


def _elsewhere(draft: Instance, place: Binding | None) -> str:
    if place is None:
        return "; it publishes no port, so it is asked in its own network, which dockmgr must reach"
    address = draft.host.address
    there = is_there(place, address)
    return "" if there else f"; it is published on {place}, and dockmgr asks at {address}"


def note(instance: Instance, check: Check, outside: Outside) -> None:
    """Begin the instance's health with what was seen, if it was well; what was not says nothing yet.

    Nor does it end the pause of one that is adopted once more.
    """
    if check.seen.outcome is not Outcome.OK:
        return
    seen, now = check.seen, outside.clock.now()
    rules = policy(instance.plan.start_grace)
    own = replace(check, request=replace(check.request, instance_id=instance.pk))

    def judged(state: State) -> State:
        return state if state.status is Status.PAUSED else assess(seen, state, rules, now).state

    change(instance.pk, now, judged, own)
