"""How far a long piece of work is, told to whoever watches it."""

from collections.abc import Callable

Progress = Callable[[int, int, str], None]  # done, of how many, and a word for what was done


def silent(_done: int, _total: int, _text: str) -> None:
    """For callers nobody watches."""
