"""Update one instance or all: pull, replace, gate, roll back on failure."""

from argparse import ArgumentParser
from typing import Any

from instances import documents
from instances.errors import RequestError
from instances.fleet.rollout import Limits, update_all
from instances.fleet.trial import run_trial
from instances.lib import validators
from instances.management.codes import BAD, GOOD
from instances.management.instance_change import InstanceChange
from instances.models import Operation
from instances.operations import service

CANARIES = Limits().canaries


class Command(InstanceChange):
    help = "Replace containers by ones from a newer image; the old one comes back on failure."

    def arguments(self, parser: ArgumentParser) -> None:
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("--customer-id")
        which.add_argument("--all", action="store_true", help="one canary, then a few at a time")
        parser.add_argument("--image", help="the image to run from now on")
        parser.add_argument(
            "--canaries", type=int, metavar="N", help=f"with --all: so many go first; {CANARIES} if not given"
        )
        parser.add_argument("--test-first", metavar="PLAN", help="with --all: try the plan first")

    def run(self, options: dict[str, Any]) -> tuple[Any, int]:
        limits = _limits(options)
        if not options["all"]:
            return super().run(options)
        image = validators.image(options["image"]) if options["image"] is not None else None
        if options["test_first"] is not None:
            trial = run_trial(options["test_first"], image, None, self.requester(options))
            if not trial.success:
                return {"operations": [], "stopped": f"The test deployment failed: {trial.error}"}, BAD
        return self._update_all(image, limits, options)

    def _update_all(self, image: str | None, limits: Limits, options: dict[str, Any]) -> tuple[Any, int]:
        service.recover()
        with self.progress(options) as tell:
            result = update_all(image, self.requester(options), limits, progress=tell)
        document = {
            "operations": [documents.operation(operation, in_full=True) for operation in result.operations],
            "skipped": result.skipped,
            "left": result.left,
            "stopped": result.stopped or None,
        }
        return document, BAD if result.failures or result.left or result.skipped else GOOD

    def begin(self, customer_id: str, options: dict[str, Any]) -> Operation:
        return service.begin_update(customer_id, self.requester(options), image=options["image"])

    def show(self, document: Any) -> None:
        if "operations" not in document:
            super().show(document)
            return
        rows = [(o["customer_id"], o["status"], o["error"]) for o in document["operations"]]
        rows += [(customer_id, "skipped", why) for customer_id, why in document.get("skipped", {}).items()]
        self.table(("customer_id", "status", "error"), rows)
        if document["stopped"]:
            self.line(f"Stopped: {document['stopped']}")


def _limits(options: dict[str, Any]) -> Limits:
    """How an update of all goes on. Raises RequestError for options that do not go together."""
    canaries = options["canaries"]
    if not options["all"] and not (canaries is None and options["test_first"] is None):
        raise RequestError("--canaries and --test-first go with --all.")
    if options["all"] and options["enqueue"]:
        raise RequestError("--enqueue goes with --customer-id; a fleet update is watched from here.")
    if canaries is not None and canaries < 1:
        raise RequestError("At least one canary is needed.")
    return Limits() if canaries is None else Limits(canaries)
