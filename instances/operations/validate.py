"""Does an instance match what the database says it should be, and does it answer: VALIDATION."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.db.models import Sum

from instances.checks.asking import probed_publicly, public_url
from instances.checks.check_requests import request_as_listed
from instances.checks.observe import observe
from instances.containers import drift as rules
from instances.containers import storage, timings
from instances.containers.drift import Finding, Note
from instances.containers.facts import ContainerFacts, EngineFacts, ImageFacts
from instances.containers.identity import Identified
from instances.documents import shapes
from instances.engine.port import Engine
from instances.errors import DockmgrError
from instances.health.diagnosis import Diagnosis, Fault, ProbeView, diagnose
from instances.health.response import Outcome, sentence
from instances.health.state import NEVER_HEALTHY, is_healed
from instances.limits import CHANGE_SECONDS
from instances.models import Instance
from instances.models.installation import installation_id
from instances.operations.find_own import find_own, sharers_of_data, what_to_do
from instances.operations.steps import generated, wait_healthy
from instances.operations.steps.replace import shared_with
from instances.outside import Outside, engine_address

NOTHING_SEEN = frozenset({"engine", Fault.UNKNOWN.value})


@dataclass(frozen=True)
class Validation:
    """All findings; valid when none of them is bad. Notes are worth knowing and change nothing."""

    findings: list[Finding] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)

    @property
    def valid(self) -> bool:
        return all(finding.ok for finding in self.findings)

    @property
    def errors(self) -> list[shapes.Finding]:
        return [{"code": f.error_code, "message": f.message} for f in self.findings if not f.ok]

    @property
    def warnings(self) -> list[shapes.Finding]:
        return [{"code": note.code, "message": note.message} for note in self.notes]

    @property
    def out_of_reach(self) -> bool:
        """Whether nothing of the instance could be seen, its engine being out of reach.

        Then the instance may be perfectly well: commands end with exit code 3 and not 1. A fault
        found all the same (in its configuration, by its DNS name) or an answer from the published
        address makes it a matter of 1 again.
        """
        return {error["code"] for error in self.errors} == NOTHING_SEEN

    def document(self) -> shapes.Validation:
        return {
            "valid": self.valid,
            "errors": self.errors,
            "warnings": self.warnings,
            "checks": [{"name": f.name, "ok": f.ok, "message": f.message} for f in self.findings],
        }


@dataclass(frozen=True)
class HostView:
    """What the engine says of one instance: its container, that one's image, and the recorded image."""

    engine: EngineFacts
    container: ContainerFacts | None
    described: dict[str, Any] | None
    container_image: ImageFacts | None
    image: ImageFacts | None
    identified: Identified
    dependents: list[str]
    sharers: list[str]
    lost: tuple[str, ...] = ()  # what there is to say of each volume of its data that is not there


def timing_bounds() -> timings.Bounds:
    """What plans' timings are held against, on this installation's settings."""
    return timings.Bounds(
        probe_timeout=settings.PROBE_TIMEOUT,
        successes=settings.SUCCESS_THRESHOLD,
        poll=wait_healthy.POLL_SECONDS,
        margin=wait_healthy.margin(),
        longest_change=CHANGE_SECONDS - 5,
    )


def validate(instance: Instance, outside: Outside, *, publicly: bool = True) -> Validation:
    """Look at configuration, host, container and health; changes nothing.

    What the engine does not tell is left out, with one finding `engine` in its place; health is
    asked over HTTP all the same, at the public URL only `publicly`.
    """
    config = _configuration(instance)
    findings = list(rules.configuration(config, timing_bounds()))
    notes = [*rules.configuration_notes(config), *_never_healthy(instance), *_host_access(instance)]
    try:
        view = _look(instance, outside)
    except DockmgrError as error:
        findings.append(Finding("engine", False, str(error)))
    else:
        findings += _on_host(instance, view)
        notes += _notes(instance, view)
    return Validation([*findings, *_reach(instance, outside, publicly)], notes)


def _never_healthy(instance: Instance) -> list[Note]:
    return [] if is_healed(instance.health.state()) else [Note("never_healthy", NEVER_HEALTHY)]


def _host_access(instance: Instance) -> list[Note]:
    found = instance.reaches_host
    if found is None:
        return []
    when = f" at {found['at'][:19]} UTC" if found["at"] else ""
    text = f"It reaches its host: {', '.join(found['items'])}. Accepted by {found['by']}{when}."
    return [Note("host_access", text)]


def _configuration(instance: Instance) -> rules.Configuration:
    plan = instance.plan
    given = {**plan.env, **instance.env}
    return rules.Configuration(
        customer_id=instance.customer_id,
        subdomain=instance.subdomain,
        image=instance.image_ref,
        plan=plan.spec(),
        env=frozenset(name for name, value in given.items() if value),
        required_env=tuple(plan.required_env),
        start_grace=plan.start_grace,
        public_url=plan.public_url,
        update_strategy=plan.update_strategy,
    )


def _look(instance: Instance, outside: Outside) -> HostView:
    def view(engine: Engine) -> HostView:
        identified = find_own(engine, instance)
        container = engine.inspect(identified.container.id) if identified.container else None
        dependents = engine.dependents(container.id) if container else []
        image = engine.image(instance.image_id or instance.image_ref)
        made_of = engine.image(container.image_id) if container else None
        described = engine.describe(container.id) if container and instance.adopted is not None else None
        lost = _lost(engine, instance, has_container=container is not None)
        sharers = sharers_of_data(engine, instance)
        return HostView(
            engine.facts(), container, described, made_of, image, identified, dependents, sharers, lost
        )

    return outside.engines.look(engine_address(instance.host), view)


def _lost(engine: Engine, instance: Instance, *, has_container: bool) -> tuple[str, ...]:
    adopted, told = has_container or instance.adopted is not None, []
    for name in instance.held_volumes:
        labels = engine.volume_labels(name)
        if labels is None:
            told.append(f"The host has no volume {name}: restart --with-empty-data would begin anew.")
        elif storage.is_foreign(labels, instance.customer_id, adopted=adopted):
            told.append(f"The volume {name} is that of {storage.owner(labels)}, and is not mounted.")
    return tuple(told)


def _on_host(instance: Instance, view: HostView) -> list[Finding]:
    plan = instance.plan_in_force
    image = rules.image_on_host(view.image, plan, view.engine, instance.mount_points)
    # An adopted container has limits of its own.
    findings = [image] if instance.adopted is not None else [rules.limits(plan, view.engine), image]
    findings += (Finding("data", False, text, "data_missing") for text in view.lost)
    findings.append(_identity(instance, view.identified))
    if view.container is None:
        gone = view.identified.sentence or sentence("missing")
        return [*findings, Finding("container", False, gone)]
    return [*findings, *_drift(instance, view, view.container)]


def _identity(instance: Instance, found: Identified) -> Finding:
    if not found.finding:
        return Finding("identity", True, "nobody renamed or replaced it")
    since = instance.finding_since
    seen = (
        f" Seen since {since:%Y-%m-%d %H:%M:%S} UTC." if since and found.finding == instance.finding else ""
    )
    return Finding("identity", False, f"{what_to_do(found, instance)}{seen}", found.finding)


def _drift(instance: Instance, view: HostView, facts: ContainerFacts) -> Iterator[Finding]:
    if view.described is not None:
        return rules.adopted_drift(instance.spec(), facts, view.described, instance.image_id)
    return rules.drift(instance.spec(), facts, instance.image_id, view.container_image)


def _notes(instance: Instance, view: HostView) -> list[Note]:
    neighbours = Instance.objects.present().filter(host_id=instance.host_id)
    promised = neighbours.aggregate(sum=Sum("plan__memory"))["sum"] or 0
    notes = [
        *rules.over_commitment(promised, view.engine),
        *rules.image_notes(view.image, instance.plan_in_force),
    ]
    if view.container is None:
        return notes
    if view.sharers:
        notes.append(Note("shared_data", f"{', '.join(view.sharers)} also mounts the instance's data."))
    if view.dependents:
        notes.append(Note("dependents", shared_with(view.dependents)))
    if instance.adopted is not None:
        notes += rules.replacement_notes(instance.adopted, view.container)
    if to_be_made := sorted(generated.lacking(instance)):
        text = f"It lacks {', '.join(to_be_made)}, which its next update makes."
        notes.append(Note("generate", text))
    return [*notes, *rules.drift_notes(instance.spec(), view.container, view.container_image)]


def _reach(instance: Instance, outside: Outside, publicly: bool) -> list[Finding]:
    """Health at the published address and, `publicly` and where the plan has one, at the public URL."""
    inside = _inside(instance, outside)
    findings = [_health(inside)]
    if publicly and instance.plan.public_url:
        findings.append(_public(_diagnosis(instance, outside, inside)))
    return findings


def _inside(instance: Instance, outside: Outside) -> ProbeView:
    request = request_as_listed(instance, outside.engines, installation=installation_id())
    seen = observe(request, outside, settings.PROBE_TIMEOUT).seen
    return ProbeView(seen.outcome, seen.reason, seen.http_status, seen.error)


def _health(look: ProbeView) -> Finding:
    if look.outcome is Outcome.STARTING:
        return Finding("health", False, "is still starting")
    code = Fault.UNKNOWN.value if look.outcome is Outcome.UNKNOWN else ""
    return Finding(
        "health", look.outcome is Outcome.OK, look.error or f"answers with {look.http_status}", code
    )


def _diagnosis(instance: Instance, outside: Outside, inside: ProbeView) -> Diagnosis:
    url = public_url(instance.access_url.rstrip("/"), instance.plan)
    result = probed_publicly(url, instance.plan, outside, settings.PROBE_TIMEOUT)
    return diagnose(inside, ProbeView(result.outcome, result.reason, result.http_status, result.error), url)


def _public(diagnosis: Diagnosis) -> Finding:
    return Finding("public_url", diagnosis.fault is Fault.NONE, diagnosis.message, diagnosis.fault.value)
