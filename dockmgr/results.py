"""Results of tasks in Redis: looked up when one is wanted, with no subscription when a task is sent."""

from __future__ import annotations

import logging
from typing import Any

from celery.backends.redis import RedisBackend
from redis.exceptions import ResponseError

from tasks.outages import SaidOnce
from tasks.policies import POLICIES

_KEPT = SaidOnce(logging.getLogger(__name__))


class LookedUpResults(RedisBackend):
    """Publishing a task opens no subscription to its result.

    Celery's own would: a lost Redis then holds the publisher up for 20 s, and ends in asking for a
    restart of the process.
    """

    def on_task_call(self, producer: object, task_id: str) -> None:
        """Nothing to prepare."""

    def store_result(
        self, task_id: Any, result: Any, state: Any, traceback: Any = None, request: Any = None, **kwargs: Any
    ) -> Any:
        """What may be large, and is somebody's, is kept for as long as its reader is about to come.

        A Redis that refuses to keep it costs the reader: raised on, it would cost the worker its connection.
        """
        try:
            stored = super().store_result(task_id, result, state, traceback, request, **kwargs)
        except ResponseError as error:
            _KEPT.failed("Keeping a task's result", error)
            return result
        _KEPT.worked()
        policy = POLICIES.get(getattr(request, "task", None) or "")
        if policy is not None and policy.result_expires is not None:
            self.expire_in(str(task_id), policy.result_expires)
        return stored

    def expire_in(self, task_id: str, seconds: int) -> None:
        """Let a result go sooner than the others."""
        self.expire(self.get_key_for_task(task_id), seconds)
