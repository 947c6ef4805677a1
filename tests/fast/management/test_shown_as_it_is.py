"""What people are shown is what is there: nothing in it colours, moves or changes anything."""

from __future__ import annotations

import io
import sys
from dataclasses import replace

import pytest
from django.core.management import call_command

from instances.management.commands import provision
from instances.models import Host
from instances.operations import service
from tests.factories import ASKED, World
from tests.fast.conftest import Run

pytestmark = pytest.mark.django_db
NEW = ("provision", "--customer-id", "new", "--subdomain", "new.example.com", "--plan", "pro")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    for name, value in (("TERM", "xterm"), ("COLUMNS", "10")):
        monkeypatch.setenv(name, value)
    shown = Terminal()
    monkeypatch.setattr(sys, "stdout", shown)
    return shown


def test_an_address_in_brackets_is_shown_whole(world: World, run: Run) -> None:
    Host.objects.filter(pk=world.host.pk).update(address="fd00::1")
    assert "new is live at http://[fd00::1]:" in run(*NEW).out


def test_words_between_colons_or_brackets_stay_words(world: World, run: Run) -> None:
    world.instance()
    reason = "a :bug: in it at 12:100:00 [fd00::1]"
    service.begin_restart("c1", replace(ASKED, reason=reason), world.outside)
    assert reason in run("operations").out


def test_what_a_container_wrote_commands_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = narrow_terminal(monkeypatch)
    log = ["\x1b]0;owned\x07\x1b[2Jready", "[/red] at " + "x" * 100]
    provision.Command().show({"access_url": None, "success": False, "error": "It failed.", "logs": log})
    assert terminal.getvalue() == f"It failed.\n  | ready\n  | {log[1]}\n"


def test_a_table_on_a_narrow_terminal_is_not_empty(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.instance()
    terminal = narrow_terminal(monkeypatch)
    call_command("instances")
    assert "healthy" in terminal.getvalue()


def test_a_backup_is_not_sent_to_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = narrow_terminal(monkeypatch)
    with pytest.raises(SystemExit, match="2"):
        call_command("backup", "-")
    assert terminal.getvalue() == ""
