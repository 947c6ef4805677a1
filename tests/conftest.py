"""For all tests: generated cases are the same in every run, and a slow machine is no failure."""

import gc

from hypothesis import settings

settings.register_profile("repeatable", deadline=None, derandomize=True, database=None)
settings.load_profile("repeatable")


def pytest_collection_finish() -> None:
    """What is loaded now stays to the end, so the garbage collector need not look at it each time.

    Of the rest it takes a look now and then: tests make many objects and keep few.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)
