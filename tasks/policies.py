"""How each task is queued, limited, acknowledged and tried again.

What is transient: `instances.errors.TransientError` and its children (an engine, registry, broker
or database that does not answer, or fails for its own reasons). Everything else fails at once:
trying the same again would fail the same way.

Two things are tried again. A task, within one call of it, as the `retry` of its policy says
(`tasks.app` sees to that): then the error is the answer. And a step of an operation, as `STEP`
says, across calls and workers (`operations.runner` sees to that): then the operation
undoes what it had begun and is closed as failed with one sentence. A check is not tried again; the
next one looks.

Early acknowledgement suits work that is worthless when late (a probe). Late acknowledgement suits
changes: a message whose worker was killed comes back, finds its operation in the database and
joins it. The lease of the operation, not the broker, decides who works, so a change goes on within
seconds of its lease's end, long before the broker would deliver again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from instances.errors import DockmgrError
from instances.lib.backoff import Retry
from instances.limits import CHANGE_SECONDS

ONCE = Retry()


@dataclass(frozen=True)
class TaskPolicy:
    """Seconds throughout. `expires` is the age at which an undelivered message is worthless.

    `time_limit` is enforced by process pools; under threads the same bound comes from the timeouts
    of every probe, engine call and database statement inside the task. All tries of `retry` have
    to fit into it. `result_expires` is how long a result is kept, where that is not the usual hour.
    """

    queue: str
    acks_late: bool
    time_limit: int
    expires: float | None = None
    ignore_result: bool = False
    result_expires: int | None = None
    retry: Retry = ONCE

    def options(self) -> dict[str, Any]:
        """Keyword arguments for Celery's task decorator."""
        return {
            "acks_late": self.acks_late,
            "time_limit": self.time_limit,
            "soft_time_limit": self.time_limit - 5,
            "expires": self.expires,
            "ignore_result": self.ignore_result,
            # An expected refusal is a result, not a defect: one line in the log, no traceback.
            "throws": (DockmgrError,),
            # Tries are counted in the operation's row, where they survive the worker.
            "max_retries": None,
        }


# A probe is not retried: the re-check is the retry, and it is scheduled by the verdict.
PROBE = TaskPolicy(queue="health", acks_late=False, time_limit=60)

# Starting a sweep or the other clockwork: the next beat does it again, a late one is worthless.
CLOCKWORK = TaskPolicy(queue="health", acks_late=False, time_limit=300, expires=30, ignore_result=True)

# Rolling up, moving and forgetting history: beside changes, where no check and no message waits for it.
HISTORY = replace(CLOCKWORK, queue="operations", expires=240)

# The same for the sweep, whose id other services may want.
SWEEP = replace(CLOCKWORK, ignore_result=False)

# Changes are repeatable because every step is journalled and skipped, or safe to do twice.
CHANGE = TaskPolicy(queue="operations", acks_late=True, time_limit=CHANGE_SECONDS)

# The same for an operation that is written down already; nobody waits for the result.
CARRY_ON = replace(CHANGE, ignore_result=True)

# Ordering a restart: lost or late orders are given again by the next failed check.
HEAL = TaskPolicy(queue="operations", acks_late=False, time_limit=60, expires=60, ignore_result=True)

# A test deployment: not resumed, because nobody's data hangs on it; `dockmgr.tidy_up` removes
# what is left.
TRIAL = TaskPolicy(queue="operations", acks_late=False, time_limit=CHANGE_SECONDS)

# The queue `notifications` is for what tells somebody outside on request. Messages about incidents do
# not pass through it: they wait in the database, and every worker and beat delivers them.
# Telling an outside monitor that a sweep is through: a late sign of life would be a lie.
HEARTBEAT = TaskPolicy(queue="notifications", acks_late=False, time_limit=60, expires=60, ignore_result=True)

# Sending a test message while somebody looks on. Once: a second try might be a second message.
CHANNEL_TEST = TaskPolicy(queue="notifications", acks_late=False, time_limit=120, expires=60)

# Reading (logs) for someone who waits: tried once more quickly, then the answer is the error.
READ = TaskPolicy(queue="operations", acks_late=False, time_limit=120, retry=Retry(tries=2, first=1.0))

# The same for a page that polls for the answer and gives up after a while.
GLANCE = replace(READ, expires=60)

# A log may be megabytes of what a customer's program wrote: the broker is no place for it.
LOG = replace(READ, result_expires=300)
LOG_VIEW = replace(GLANCE, result_expires=60)

POLICIES: dict[str, TaskPolicy] = {
    "dockmgr.check_health": PROBE,
    "dockmgr.sweep": SWEEP,
    "dockmgr.follow_up": CLOCKWORK,
    "dockmgr.recover": CLOCKWORK,
    "dockmgr.purge_history": HISTORY,
    "dockmgr.keep_history": HISTORY,
    "dockmgr.tidy_up": CLOCKWORK,
    "dockmgr.heal": HEAL,
    "dockmgr.ping_heartbeat": HEARTBEAT,
    "dockmgr.restart": CHANGE,
    "dockmgr.update": CHANGE,
    "dockmgr.provision": CHANGE,
    "dockmgr.decommission": CHANGE,
    "dockmgr.test_deploy": TRIAL,
    "dockmgr.carry_on": CARRY_ON,
    "dockmgr.carry_out_bulk": CARRY_ON,
    "dockmgr.logs": LOG,
    "dockmgr.log_view": LOG_VIEW,
    "dockmgr.container_facts": GLANCE,
    "dockmgr.test_host": GLANCE,
    "dockmgr.orphans": GLANCE,
    "dockmgr.try_channel": CHANNEL_TEST,
    "dockmgr.validate": READ,
    "dockmgr.validate_deployment": READ,
}
