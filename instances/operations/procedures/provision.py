"""Provision: a new instance, healthy, or nothing left behind."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction

from instances import lookup
from instances.containers import storage
from instances.containers.network_words import too_long
from instances.errors import RequestError
from instances.lib import validators
from instances.models import Health, Host, Instance, Operation, Plan
from instances.operations import image_choice
from instances.operations.begin import open_operation
from instances.operations.placement import Placement
from instances.operations.procedure import Procedure, Step, Work, pull_limit
from instances.operations.requester import Requester
from instances.operations.steps import approval, container, data, exact, generated, ports
from instances.operations.steps.explain import note_own_failed
from instances.operations.steps.pull import must_fit
from instances.operations.steps.start import START, WAIT_UNTIL_HEALTHY, note_healthy
from instances.outside import Outside

TRY_AGAIN = "Another operation came first; try again."


@dataclass(frozen=True)
class ProvisionRequest:
    """What is to be provisioned. `env` holds secrets: it goes to the encrypted column and nowhere else.

    `former_data` says what becomes of the data of an earlier instance of this customer: `keep`, or
    `fresh` for beginning anew; without either there must be none.
    """

    customer_id: str
    subdomain: str
    plan: str
    env: dict[str, str] = field(repr=False)
    host: str | None = None
    image: str | None = None
    expires_at: datetime | None = None
    former_data: str = ""

    def checked(self) -> ProvisionRequest:
        """The order, if its texts have the right form. Raises RequestError."""
        validators.customer_id(self.customer_id)
        validators.subdomain(self.subdomain)
        validators.environment(self.env)
        if self.image not in (None, ""):
            validators.image(self.image)
        return self


def former_data(keep: object, fresh: object) -> str:
    """What two switches say. Raises RequestError for both, or for what is neither on nor off."""
    if not (isinstance(keep, bool) and isinstance(fresh, bool)):
        raise RequestError("Whether to keep the data or begin fresh must be true or false.")
    if keep and fresh:
        raise RequestError("Former data can be kept, or the customer begins fresh: not both.")
    return "keep" if keep else "fresh" if fresh else ""


def begin(
    order: ProvisionRequest,
    outside: Outside,
    requester: Requester,
    *,
    ask_engines: bool = True,
) -> Operation:
    """Write down the new instance with its port and its operation, in one transaction.

    Raises RequestError for a malformed, duplicate or unsatisfiable order.
    """
    plan = _plan(order.checked())
    choice = image_choice.checked(plan, order.image or None, requester)
    placement = Placement(_host(order), outside if ask_engines else None, plan.memory)
    now = outside.clock.now()
    sign = image_choice.signing(choice, now)
    try:
        params: dict[str, Any] = {"former_data": order.former_data} if order.former_data else {}
        params["generated"] = [name for name in plan.generate if name not in order.env]
        while True:
            host = placement.choose()
            with transaction.atomic():
                if placement.take(host):
                    instance = _write_down(order, plan, host)
                    return open_operation("provision", instance, now, requester, params=params, sign=sign)
    except IntegrityError:
        taken = what_is_taken(order.customer_id, order.subdomain)
        raise RequestError(taken or TRY_AGAIN) from None


def _host(order: ProvisionRequest) -> str | None:
    """The host that is named, or the one that has the data to go on with."""
    if order.host is None and order.former_data == "keep":
        former = data.former_with_data(order.customer_id)
        return former.host.name if former else None
    return order.host


def _plan(order: ProvisionRequest) -> Plan:
    plan = lookup.plan(order.plan)
    if not (order.image or plan.image):
        raise RequestError(f"Plan {plan.name} has no image: set one with apply or name one with --image.")
    given = {**plan.env, **plan.generate, **order.env}
    absent = [name for name in plan.required_env if not given.get(name)]
    if absent:
        raise RequestError(f"Plan {plan.name} requires {', '.join(absent)} in the environment.")
    return plan


def _write_down(order: ProvisionRequest, plan: Plan, host: Host) -> Instance:
    instance = Instance.objects.create(
        customer_id=order.customer_id,
        subdomain=order.subdomain,
        plan=plan,
        host=host,
        image=order.image or "",
        env={**generated.made(plan.generate, order.env), **order.env},
        expires_at=order.expires_at,
    )
    instance.port = ports.reserve(host, instance)
    ports.reserve_further(host, instance)
    instance.save(update_fields=["port", "further_ports"])
    if trouble := too_long(instance.spec().options.hostname):
        raise RequestError(f"{trouble} See hostname of plan {plan.name}.")
    Health.objects.create(instance=instance, status="starting")
    return instance


def what_is_taken(customer_id: str, subdomain: str) -> str:
    """Which of the two an instance has already, as a sentence; empty when both are free."""
    present = Instance.objects.present()
    if present.filter(customer_id=customer_id).exists():
        return f"Customer {customer_id} has an instance already."
    if present.filter(subdomain=subdomain).exists():
        return f"The subdomain {subdomain} is taken."
    return ""


def _image(work: Work) -> str:
    ref = work.instance.image_ref
    approval.approve(work, ref)
    image = container.ensure_image(work, ref)
    work.instance.image_id = image.id
    work.instance.image_digest = exact.digest_of(image, ref)
    approval.keep(work, ref)
    work.save("image_id", "image_digest", "approved_image")
    work.journal.write(image_after=image.id)
    return image.id


def _verify(work: Work) -> str:
    return must_fit(work, work.instance.image_id)


def _volumes(work: Work) -> str:
    _note_storage(work)
    names = work.instance.planned_volumes
    data.take_back_purges(work)
    for name in names:
        data.refuse_former(work, name)
    data.refuse_former_elsewhere(work)
    data.remove_former(work)
    return ", ".join(_volume(work, name) for name in names) or "the plan keeps no data"


def _volume(work: Work, name: str) -> str:
    if data.takes_former(work, name):
        return f"{name} kept with its data"
    made = work.engine.create_volume(name, container.signed(work, work.instance.spec().labels))
    return f"{name} {'created' if made else 'found and kept'}"


def _note_storage(work: Work) -> None:
    work.instance.volumes = storage.volumes(work.instance.spec())
    work.save("volumes")


def _remove_volumes(work: Work) -> None:
    for name in work.instance.planned_volumes:
        labels = work.engine.volume_labels(name)
        if labels is not None and container.is_ours(work, labels):
            work.engine.remove_volume(name)


def _create(work: Work) -> str:
    return container.create(work, work.instance.image_id)


def _succeeded(work: Work) -> None:
    work.instance.provisioned_at = work.outside.clock.now()
    work.save("provisioned_at")
    note_healthy(work)


def _failed(work: Work) -> None:
    work.forget_instance()


PROCEDURE = Procedure(
    kind="provision",
    steps=(
        Step("image", _image, limit=pull_limit),
        Step("verify image", _verify),
        Step("volume", _volumes, undo=_remove_volumes),
        Step("create", _create, undo=container.remove_made),
        START,
        WAIT_UNTIL_HEALTHY,
    ),
    succeeded=_succeeded,
    failed=_failed,
    explain=note_own_failed,
)
