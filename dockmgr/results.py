"""Results of tasks in Redis: looked up when one is wanted, with no subscription when a task is sent."""

from __future__ import annotations

from celery.backends.redis import RedisBackend


class LookedUpResults(RedisBackend):
    """Publishing a task opens no subscription to its result.

    Celery's own would: a lost Redis then holds the publisher up for 20 s, and ends in asking for a
    restart of the process.
    """

    def on_task_call(self, producer: object, task_id: str) -> None:
        """Nothing to prepare."""
