"""Calls at the same moment, each on a thread and a patient database connection of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable

from django.db import connection

from instances.db.patience import unlimited


def side_by_side(*calls: Callable[[], object]) -> list[BaseException]:
    """What went wrong when all were called at once, each on a thread and connection of its own."""
    wrong: list[BaseException] = []
    together = threading.Barrier(len(calls))

    def run(call: Callable[[], object]) -> None:
        try:
            together.wait(60)
            with unlimited():  # on a busy machine locks take long; waiting in a circle is found out anyway
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
