"""Calls at the same moment, each on a thread and a database connection of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable

from django.db import connection


def side_by_side(*calls: Callable[[], object]) -> list[BaseException]:
    """What went wrong when all were called at once, each on a thread and connection of its own."""
    wrong: list[BaseException] = []
    together = threading.Barrier(len(calls))

    def run(call: Callable[[], object]) -> None:
        try:
            together.wait(60)
            call()
        except BaseException as error:
            wrong.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return wrong
