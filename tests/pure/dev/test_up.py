"""What stops `make up` before it has begun."""

from __future__ import annotations

from pathlib import Path

import pytest

from dev import up
from dev.servers import ServerFailed


@pytest.mark.parametrize("home", ["/dev/null", "/dev/null/below"])
def test_a_state_folder_that_can_not_be_made_is_told_in_a_sentence(home: str) -> None:
    with (
        pytest.raises(ServerFailed, match=r"^The state folder /dev/null.* can't be used: .*\.$"),
        up._alone_in(Path(home)),
    ):
        pass
