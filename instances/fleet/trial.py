"""A test deployment: a throwaway instance through exactly the code a customer's goes through."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

from instances import documents, lookup
from instances.containers import spec
from instances.db.retry import retry_on_disconnect
from instances.documents import shapes
from instances.errors import DockmgrError, OutOfReachError, RequestError
from instances.fleet.cleanup import needed_now
from instances.fleet.progress import Progress, silent
from instances.models import Instance, Operation, Plan, Port
from instances.operations import read_logs, service
from instances.operations.procedures.provision import ProvisionRequest
from instances.operations.requester import Requester, at_machine
from instances.operations.validate import Validation
from instances.operations.validate import validate as validate_instance
from instances.outside import Outside, engine_address

T = TypeVar("T")
LIFETIME = timedelta(hours=1)
STEPS = 8
DONE = "done"  # the outcome of one that went well, in the audit log
PLACEHOLDER = "placeholder-of-a-test-deployment"


@dataclass(frozen=True)
class StepResult:
    """One step of a test deployment; `seconds` is how long it took.

    `out_of_reach`: it failed for want of something that did not answer.
    """

    name: str
    ok: bool
    seconds: float
    error: str | None = None
    out_of_reach: bool = False


@dataclass
class Trial:
    """How a test deployment went. Nothing of it is left, whatever the outcome, unless `error` says so."""

    plan: str
    steps: list[StepResult] = field(default_factory=list)

    @property
    def success(self) -> bool:
        return bool(self.steps) and all(step.ok for step in self.steps)

    @property
    def error(self) -> str | None:
        return next((step.error for step in self.steps if not step.ok), None)

    @property
    def out_of_reach(self) -> bool:
        """Whether nothing is known of the plan, because something needed did not answer."""
        return next((step.out_of_reach for step in self.steps if not step.ok), False)

    def document(self) -> shapes.TrialResult:
        steps: list[shapes.TrialStep] = [
            {"name": step.name, "ok": step.ok, "seconds": step.seconds, "error": step.error}
            for step in self.steps
        ]
        return {"success": self.success, "plan": self.plan, "steps": steps, "error": self.error}


def made_before(plan: str, outcome: str, at: datetime) -> shapes.TrialResult:
    """How a test deployment ended that was made under the same request id; its steps are not on record.

    `outcome` is DONE or a sentence, `at` when it was written down.
    """
    success = outcome == DONE
    error = None if success else f"It was done at {documents.time(at)} under this request id: {outcome}"
    return {"success": success, "plan": plan, "steps": [], "error": error}


def run_trial(
    plan: str,
    image: str | None = None,
    host: str | None = None,
    requester: Requester | None = None,
    outside: Outside | None = None,
    progress: Progress = silent,
) -> Trial:
    """Provision, read limits back, validate, read logs, restart, update, remove, prove it is gone.

    Raises RequestError when there is no such plan or host.
    """
    requester, outside = requester or at_machine("test_deploy"), outside or service.OUTSIDE
    trial = _Deployment(lookup.plan(plan), image, host, requester, outside)
    trial.progress = progress
    return trial.run()


class _Deployment:
    def __init__(
        self, plan: Plan, image: str | None, host: str | None, requester: Requester, outside: Outside
    ) -> None:
        self._plan, self._image, self._host = plan, image, host
        self._requester, self._outside = requester, outside
        self._customer = f"test-{secrets.token_hex(6)}"
        self._result = Trial(plan.name)
        self.progress: Progress = silent

    def run(self) -> Trial:
        made = self._step("provision", self._provision)
        if made:
            for name, act in (
                ("limits", partial(self._patiently, self._limits)),
                ("validate", partial(self._patiently, self._validate)),
                ("logs", partial(self._patiently, self._logs)),
                ("restart", self._restart),
                ("update", self._update),
            ):
                if not self._step(name, act):
                    break
            self._step("decommission", self._decommission)
        self._step("nothing left", partial(self._patiently, self._nothing_left))
        return self._result

    def _step(self, name: str, act: Callable[[], str | None]) -> bool:
        began, away = self._outside.clock.now(), False
        self.progress(len(self._result.steps), STEPS, name)
        try:
            error = act()
        except RequestError:
            if name == "provision":
                raise
            error = "The throwaway instance is gone."
        except DockmgrError as failure:
            error, away = str(failure), isinstance(failure, OutOfReachError)
        seconds = (self._outside.clock.now() - began).total_seconds()
        self._result.steps.append(StepResult(name, error is None, round(seconds, 3), error, away))
        return error is None

    def _patiently(self, call: Callable[[], T]) -> T:
        """What meets the locks of others, or a database that is away for a moment, must not end the trial."""
        return retry_on_disconnect(call, self._outside.clock)

    def _provision(self) -> str | None:
        given = {*self._plan.generate, *(name for name, value in self._plan.env.items() if value)}
        order = ProvisionRequest(
            customer_id=self._customer,
            subdomain=f"{self._customer}.test.invalid",
            plan=self._plan.name,
            env={name: PLACEHOLDER for name in self._plan.required_env if name not in given},
            host=self._host,
            image=self._image,
            expires_at=self._outside.clock.now() + LIFETIME,
        )
        return self._end_of(lambda asked: service.begin_provision(order, asked, self._outside))

    def _end_of(self, begin: Callable[[Requester], Operation]) -> str | None:
        """What went wrong with an operation of the trial, which begins once however often it is asked for."""
        reason, key = self._requester.reason or "test deployment", f"{self._customer}-{secrets.token_hex(6)}"
        requester = replace(self._requester, reason=reason, request_id=key)
        operation = self._patiently(lambda: begin(requester))
        done = service.see_through(operation.pk, self._outside)
        told = documents.told_in_full(done) if self._requester.surface == "command" else done.error
        if done.status != "succeeded" and done.facts.get("out_of_reach"):
            raise OutOfReachError(told)
        return None if done.status == "succeeded" else told

    def _instance(self) -> Instance:
        return lookup.instance(self._customer)

    def _limits(self) -> str | None:
        instance = self._instance()
        facts = self._outside.engines.at(engine_address(instance.host)).inspect(instance.container_id)
        wanted = instance.spec()
        if facts is None:
            return "The container is gone."
        read_back = (facts.nano_cpus, facts.memory, facts.pids_limit)
        if read_back != (wanted.nano_cpus, wanted.memory, wanted.pids_limit):
            return f"The engine says {read_back} for billionths of a CPU, bytes and processes."
        return None

    def _validate(self) -> str | None:
        """At the published address alone: nobody leads a name that was made up a moment ago to it."""
        validation: Validation = validate_instance(self._instance(), self._outside, publicly=False)
        return None if validation.valid else "; ".join(e["message"] for e in validation.errors)

    def _logs(self) -> str | None:
        read_logs.read(self._instance(), self._outside.engines, 100, None)
        return None

    def _restart(self) -> str | None:
        return self._end_of(lambda asked: service.begin_restart(self._customer, asked, self._outside))

    def _update(self) -> str | None:
        return self._end_of(lambda asked: service.begin_update(self._customer, asked, outside=self._outside))

    def _decommission(self) -> str | None:
        return self._end_of(
            lambda asked: service.begin_decommission(
                self._customer, asked, purge_data=True, outside=self._outside
            )
        )

    def _remove_pulled_image(self) -> None:
        """An image that came with the test goes with it, unless somebody runs it by now, or is about to."""
        made = Operation.objects.filter(customer_id=self._customer, kind="provision").first()
        if made is None or made.host is None or not (made.facts.get("pulled") and made.image_after):
            return
        if made.image_after in needed_now(made.host):
            return
        engine = self._outside.engines.at(engine_address(made.host))
        engine.remove_image(self._image or self._plan.image)
        left = engine.describe_image(made.image_after)
        if left is not None and not left.get("RepoTags"):  # with another name it was here before
            engine.remove_image(made.image_after)

    def _nothing_left(self) -> str | None:
        """Proof: no container, volume, port or row of the throwaway customer anywhere."""
        self._remove_pulled_image()
        left = []
        if Instance.objects.filter(customer_id=self._customer).exists():
            left.append("its row")
        if Port.objects.filter(instance__customer_id=self._customer).exists():
            left.append("its port")
        left += self._left_on_engines()
        return f"Left behind: {', '.join(left)}." if left else None

    def _left_on_engines(self) -> list[str]:
        provisioned = Operation.objects.filter(customer_id=self._customer, kind="provision").first()
        if provisioned is None or provisioned.host is None:
            return []
        engine = self._outside.engines.at(engine_address(provisioned.host))
        name = spec.container_name(self._customer)
        volumes = spec.named_volumes(self._customer, self._plan.volumes)
        names = (name, spec.next_name(name), spec.previous_name(name))
        found = [f"container {which}" for which in names if engine.inspect(which)]
        return found + [f"volume {which}" for which in volumes if engine.volume_labels(which) is not None]
