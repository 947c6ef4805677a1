"""The same fakes as in the fast tests."""

from tests.fast.conftest import flushing_is_cheap, run, sent, world

__all__ = ["flushing_is_cheap", "run", "sent", "world"]
