"""What every command says to a wrong request."""

from __future__ import annotations

from tests.fast.conftest import Run


def refused(run: Run, *words: str) -> None:
    """Assert exit code 2 and one sentence, which is the document as well."""
    ran = run(*words, "--json")
    assert ran.code == 2
    assert ran.err.count("\n") == 1
    assert not ran.err[:1].islower()
    assert ran.err.endswith(".\n")
    assert ran.document == {"error": ran.err.strip()}
