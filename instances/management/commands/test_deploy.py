"""Try a plan with a throwaway instance."""

from argparse import ArgumentParser
from typing import Any

from instances.fleet.trial import made_before, run_trial
from instances.management import streams
from instances.management.base import FleetCommand, operator
from instances.management.codes import BAD, GOOD, OUT_OF_REACH
from instances.models import AuditEntry
from instances.operations.requester import at_machine
from instances.operations.service import recover


class Command(FleetCommand):
    help = "Provision a throwaway instance, validate, restart and update it, and remove every trace."
    once = True
    left_behind = "what was made is removed by the workers, within an hour or two"

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--plan", required=True)
        parser.add_argument("--image")
        parser.add_argument("--host")

    def run(self, options: dict[str, Any]) -> tuple[Any, int]:
        recover()
        asked = at_machine(operator(), options["reason"] or "test deployment")
        with self.progress(options) as tell:
            done = run_trial(options["plan"], options["image"], options["host"], asked, progress=tell)
        if done.success:
            return done.document(), GOOD
        if done.out_of_reach:
            streams.complain(str(done.error))
            return done.document(), OUT_OF_REACH
        return done.document(), BAD

    def again(self, options: dict[str, Any], earlier: AuditEntry) -> tuple[Any, int]:
        """How it ended is on record, its steps are not."""
        document = made_before(options["plan"], earlier.outcome, earlier.at)
        return document, GOOD if document["success"] else BAD

    def show(self, document: Any) -> None:
        rows = [
            (step["name"], "done" if step["ok"] else "failed", f"{step['seconds']:.1f}", step["error"])
            for step in document["steps"]
        ]
        self.table(("step", "result", "seconds", "error"), rows)
