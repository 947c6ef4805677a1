"""The same fakes as in the fast tests."""

from tests.fast.conftest import run, sent, world
from tests.web.conftest import caller, workers

__all__ = ["caller", "run", "sent", "workers", "world"]
