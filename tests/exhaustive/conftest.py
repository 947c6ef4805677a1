"""The same fakes as in the fast tests."""

from tests.fast.conftest import caller, run, sent, workers, world

__all__ = ["caller", "run", "sent", "workers", "world"]
