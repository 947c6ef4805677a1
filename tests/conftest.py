"""For all tests: generated cases are the same in every run, and a slow machine is no failure."""

from hypothesis import settings

settings.register_profile("repeatable", deadline=None, derandomize=True, database=None)
settings.load_profile("repeatable")
