"""What is kept of a container that failed, before it is gone: its last words, its end, its likely reason."""

from __future__ import annotations

from instances.containers.facts import ContainerFacts
from instances.errors import DockmgrError
from instances.health.start_failures import Circumstances, likely_reason
from instances.operations.procedure import Work
from instances.operations.read_logs import last_lines

LOG_LINES_KEPT = 40


def note_failed(work: Work, which: str) -> None:
    """Keep the end of a container's log, how it ended, and a sentence about the reason where one is known."""
    try:
        lines = last_lines(work.instance, work.engine, LOG_LINES_KEPT, container=which).lines
    except DockmgrError as trouble:
        lines = [f"(no log: {trouble})"]
    work.journal.remember(logs=lines)
    facts = work.engine.inspect(which)
    if facts is None:
        return
    reason = likely_reason(lines, work.failure, _circumstances(work, facts))
    state = {"state": facts.state, "exit_code": facts.exit_code, "oom_killed": facts.oom_killed}
    work.journal.remember(failed_container=state, **({"likely": reason} if reason else {}))


def note_own_failed(work: Work) -> None:
    """The same of the instance's own container, where it has one: it says why, and may be gone soon."""
    if work.instance.container_id:
        note_failed(work, work.instance.container_id)


def _circumstances(work: Work, facts: ContainerFacts) -> Circumstances:
    options = work.instance.spec().options
    was_started = "started_at" in work.operation.facts
    return Circumstances(
        exit_code=facts.exit_code if was_started else None,  # what is stopped is killed in the end
        oom_killed=facts.oom_killed,
        volumes=tuple(facts.volumes.values()),
        read_only=bool(options.read_only),
        drops_capabilities=bool(options.cap_drop),
    )
