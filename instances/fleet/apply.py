"""Bring hosts, registries, plans and channels to what a fleet file says; what it leaves out stays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import time
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Model, Q

from instances.alerts.switching import channels_changed
from instances.checks.asking import ask_of
from instances.containers import image_policy, log_alerts
from instances.containers.options import Options, conflicts
from instances.containers.spec import SPEC_LABEL
from instances.db.clock import SYSTEM
from instances.db.errors import is_duplicate
from instances.db.locks import lock_in_order, locked
from instances.db.retry import retry_while_busy
from instances.errors import BusyError, RequestError, UnreadableSecret
from instances.fleet import accept
from instances.fleet.accept import way_refused
from instances.fleet.channel_entry import ChannelEntry
from instances.fleet.channel_fit import USELESS, is_useless, misfits
from instances.fleet.entry import Section
from instances.fleet.file import FleetFile, HostEntry
from instances.health.question import conflict
from instances.lib.clock import Clock
from instances.models import Channel, Host, Instance, Plan, Registry
from instances.operations.steps import generated

TRIES = 2  # of a row that another process makes at the same moment: then it is there to be changed
PORT_RANGE = "last_port must not be below first_port"
SECRET_FIELDS = frozenset({"env", "url", "health_headers", "password"})


@dataclass(frozen=True)
class FleetChange:
    """One thing created or updated; `fields` maps names to (before, after), secrets left out."""

    kind: str
    name: str
    action: str
    fields: dict[str, tuple[Any, Any]]

    def document(self) -> dict[str, Any]:
        fields = {name: {"before": was, "after": now} for name, (was, now) in self.fields.items()}
        return {"kind": self.kind, "name": self.name, "action": self.action, "fields": fields}


def apply(fleet: FleetFile, clock: Clock = SYSTEM) -> list[FleetChange]:
    """Create or update everything the file names, all or nothing; returns what changed.

    Fields an entry leaves out keep their value on an existing row and take the default on a new one.
    A new or changed channel is told of what is wrong at the moment. Raises RequestError, or BusyError when
    others change the same.
    """
    return retry_while_busy(lambda: _apply(fleet, clock))


def _apply(fleet: FleetFile, clock: Clock) -> list[FleetChange]:
    with transaction.atomic():
        found: list[FleetChange | None] = []
        for kind, model, entries in (
            ("host", Host, fleet.hosts),
            ("registry", Registry, fleet.registries),
            ("plan", Plan, fleet.plans),
            ("channel", Channel, fleet.channels),
        ):
            found += _apply_entries(kind, model, entries)
        found += [_accepted(entry, found) for entry in fleet.hosts if entry.accept_new_engine]
        for host in fleet.hosts:
            _refuse_way_to_engine(host.name)
        for channel in fleet.channels:
            _refuse_misfits(channel)
        changes = [change for change in found if change]
        channels = {change.name: change.fields for change in changes if change.kind == "channel"}
        if channels:
            channels_changed(channels, clock.now())
    return changes


@dataclass(frozen=True)
class Rehearsal:
    """What `apply` would change, and which customers that would concern.

    `would_drift`: their containers would be of earlier settings. `asked_anew`: the containers they have now
    would be asked for their health in another way at once.
    """

    changes: list[FleetChange]
    would_drift: list[str]
    asked_anew: list[str]

    def document(self) -> dict[str, Any]:
        changes = [change.document() for change in self.changes]
        return {"changes": changes, "would_drift": self.would_drift, "asked_anew": self.asked_anew}


def rehearse(fleet: FleetFile, clock: Clock = SYSTEM) -> Rehearsal:
    """See what `apply` would do. Changes nothing. Raises RequestError."""
    return retry_while_busy(lambda: _rehearse(fleet, clock))


def _rehearse(fleet: FleetFile, clock: Clock) -> Rehearsal:
    with transaction.atomic():
        before, asked_before = _concerned(fleet)
        changes = _apply(fleet, clock)
        after, asked = _concerned(fleet)
        transaction.set_rollback(True)
    return Rehearsal(changes, _differing(before, after), _differing(asked_before, asked))


def _differing(before: Mapping[str, object], after: Mapping[str, object]) -> list[str]:
    return [who for who, what in after.items() if before.get(who) != what]


def _concerned(fleet: FleetFile) -> tuple[dict[str, str], dict[str, object]]:
    """By customer of the file's plans and hosts, what tells the container he should have from any other, and
    where and how the one he has is asked.
    """
    plans, hosts = ([entry.name for entry in entries] for entries in (fleet.plans, fleet.hosts))
    present = Instance.objects.present().filter(Q(plan__name__in=plans) | Q(host__name__in=hosts))
    rows = list(present.select_related("plan", "host").order_by("customer_id"))
    questions = {row.customer_id: (row.health_url, row.plan.health_expect, ask_of(row.plan)) for row in rows}
    return {row.customer_id: _spec_label(row) for row in rows}, {**questions}


def _spec_label(instance: Instance) -> str:
    try:
        to_be_made = sorted(generated.lacking(instance))
        return " ".join([instance.spec().labels[SPEC_LABEL], *to_be_made])
    except UnreadableSecret as error:  # of the row itself: what its plan says does not help
        return str(error)


def _accepted(entry: HostEntry, changes: Sequence[FleetChange | None]) -> FleetChange | None:
    """Forget the known engine where another one answers, or the address is another one now."""
    host = locked(Host.objects.filter(name=entry.name)).get()
    changed = next((c for c in changes if c and (c.kind, c.name) == ("host", entry.name)), None)
    moved = changed is not None and "docker_url" in changed.fields
    if not host.engine_id or not (moved or accept.is_doubted(host)):
        return None
    was, host.engine_id = host.engine_id, ""
    host.save(update_fields=["engine_id"])
    return FleetChange("host", host.name, "updated", {"engine_id": (was, "")})


def _refused(why: str) -> RequestError:
    return RequestError(f"The fleet file is refused: {why}")


def _refuse_way_to_engine(name: str) -> None:
    """Raise RequestError where the way can't be right whatever is behind it: the row says all that counts."""
    host = Host.objects.get(name=name)
    words = way_refused(host)
    if words:
        raise _refused(f"host {name}: {words}.")
    other = accept.same_address(host)
    if other is not None:
        raise _refused(
            f"host {name} has the engine of host {other.name}: give each host an engine of its own."
        )


def _refuse_misfits(channel: ChannelEntry) -> None:
    """What the file leaves out of its events counts as the row has it."""
    operations = Channel.objects.get(name=channel.name).operations
    for _, words in misfits(channel.url, operations, channel.hosts, channel.plans):
        raise _refused(f"channel {channel.name}: {words}")


def _apply_entries(kind: str, model: type[Model], entries: Sequence[Section]) -> list[FleetChange | None]:
    """What became of each, in the order of the file; all files lock rows and make new ones in one order."""
    wanted = [entry.columns() for entry in entries]
    lock_in_order(model._default_manager.filter(name__in=[values["name"] for values in wanted]))
    by_name = sorted(wanted, key=lambda values: str(values["name"]))
    done = {values["name"]: _apply_entry(kind, model, values) for values in by_name}
    return [done[values["name"]] for values in wanted]


def _apply_entry(kind: str, model: type[Model], values: dict[str, Any]) -> FleetChange | None:
    what = f"{kind} {values['name']}"
    for _ in range(TRIES):
        try:
            with transaction.atomic():
                return _create_or_update(kind, model, values)
        except IntegrityError as error:
            if "host_port_range" in str(error):  # seen by the database alone: the file may say one of them
                raise _refused(f"{what}: {PORT_RANGE}.") from None
            if not is_duplicate(error):
                raise
    raise BusyError(f"Somebody else changes {what} at the same moment; try again.")


def _create_or_update(kind: str, model: type[Model], values: dict[str, Any]) -> FleetChange | None:
    row = locked(model._default_manager.filter(name=values["name"])).first()
    if model is Plan:
        values = _whole_options(values, row)
        _refuse_own_image(values, row)
    if row is None:
        _refuse_useless(values["name"], values.get("url"))
        model._default_manager.create(**values)
        return FleetChange(kind, values["name"], "created", {})
    before = {name: _present_value(row, name) for name in values}
    changed = {name: (before[name], value) for name, value in values.items() if before[name] != value}
    if not changed:
        return None
    if "url" in changed:
        _refuse_useless(values["name"], values["url"])
    for name, (_, value) in changed.items():
        setattr(row, name, value)
    row.save(update_fields=list(changed))
    return FleetChange(kind, values["name"], "updated", _shown(changed))


def _whole_options(values: dict[str, Any], row: Any) -> dict[str, Any]:
    """With the options the file says among those the plan has. Raises RequestError for what clashes."""
    before = row.options if row is not None else {}
    plan = row or Plan()
    options = Options.model_validate({**before, **values.get("options", {})})
    data_path = values.get("data_path", plan.data_path)
    port, health = values.get("container_port", plan.container_port), values.get("health", plan.health)
    alerts = values.get("log_alerts", plan.log_alerts)
    clashes = (
        *conflicts(options, data_path, port),
        conflict(health, port, options.ports),
        log_alerts.conflict(alerts, options.logging.driver),
    )
    found = next(filter(None, clashes), "")
    if found:
        raise _refused(f"plan {values['name']}: {found}.")
    return {**values, "options": options.document()} if "options" in values else values


def _refuse_own_image(values: dict[str, Any], row: Any) -> None:
    """Raise RequestError where a plan's `images` would not allow its own image."""
    plan = row or Plan()
    found = image_policy.outside(values.get("image", plan.image), values.get("images", plan.images))
    if found:
        raise _refused(f"plan {values['name']}: {found}.")


def _shown(changed: dict[str, tuple[Any, Any]]) -> dict[str, tuple[Any, Any]]:
    """Values before and after as they may be shown; each option under its own name."""
    was, now = changed.pop("options", ({}, {}))
    options = {
        word: (was.get(word), now.get(word)) for word in [*was, *now] if was.get(word) != now.get(word)
    }
    return {
        k: ("(secret)", "(secret)") if k in SECRET_FIELDS else (_plain(was), _plain(now))
        for k, (was, now) in {**changed, **options}.items()
    }


def _present_value(row: Model, name: str) -> Any:
    """What the row has; a secret that can't be read differs from any, so that it can be set anew."""
    try:
        return getattr(row, name)
    except UnreadableSecret:
        return UnreadableSecret


def _refuse_useless(channel: str, url: str | None) -> None:
    """Raise RequestError for a channel's URL that nothing can be sent to."""
    if url is not None and is_useless(url):
        raise _refused(f"channel {channel}: {USELESS}.")


def _plain(value: Any) -> Any:
    return value.isoformat("minutes") if isinstance(value, time) else value
