"""The line to an engine through `ssh`, where this machine can't begin it."""

from __future__ import annotations

import errno
import os
import subprocess
import tempfile

import pytest
import requests

from instances.engine.ssh_line import SshAdapter
from instances.engine.wording import is_used_up, reason


def failure(program: str = "ssh") -> requests.ConnectionError:
    """What a request over a line to nobody meets."""
    request = requests.Request("GET", "http+docker://localhost/_ping").prepare()
    with pytest.raises(requests.ConnectionError) as met:
        SshAdapter([program], 1.0, 1).send(request)
    return met.value


@pytest.mark.parametrize("what", [(tempfile, "TemporaryFile"), (subprocess, "Popen")])
def test_a_machine_without_files_left_is_told_as_that_and_at_once(
    what: tuple[object, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(*what, refuse)
    assert is_used_up(failure())


def test_a_machine_without_the_program_is_told_as_that() -> None:
    assert reason(failure("/no/such/ssh")) == "there is no program ssh."
