"""What a process says when it starts with settings that are allowed and unwise."""

from __future__ import annotations

import pytest
from pytest_django.fixtures import Settings

from dockmgr.start import warn_of_weak_key


@pytest.mark.parametrize(("key", "said"), [("s3ntinel", True), ("s3ntinel" * 4, False)])
def test_a_secret_key_that_can_be_guessed_is_told_and_not_shown(
    settings: Settings, caplog: pytest.LogCaptureFixture, key: str, said: bool
) -> None:
    settings.SECRET_KEY = key
    warn_of_weak_key()
    assert ("DOCKMGR_SECRET_KEY has 8 characters" in caplog.text) is said
    assert key not in caplog.text
