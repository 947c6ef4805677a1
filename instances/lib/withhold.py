"""What is told where nobody knows which words are secrets: one sentence instead of the text."""

from __future__ import annotations

from instances.lib.redact import Redactor


class Withholding(Redactor):
    """A redactor for secrets that can't be read: whatever it is given, it tells only why."""

    def __init__(self, why: str) -> None:
        super().__init__(())
        self._why = why

    def text(self, s: str, *, is_cut: bool = False) -> str:
        return self._why
