"""Keys that open nothing of what is stored are somebody else's: nothing begins with them."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.management import call_command
from pytest_django.fixtures import Settings

from dockmgr import keys
from instances.access.keys import require_keys
from instances.errors import WrongKeys
from instances.models import AuditEntry
from tests.factories import World


def test_nothing_begins_with_keys_that_open_nothing(world: World, settings: Settings, capsys: Any) -> None:
    world.instance("c1")
    require_keys()
    own, other = settings.ENCRYPTION_KEYS, [keys.new_fernet_key().encode()]
    settings.ENCRYPTION_KEYS = other
    with pytest.raises(WrongKeys, match="its keys are not this database's"):
        require_keys()
    with pytest.raises(SystemExit) as ended:
        call_command("pause", "--customer-id", "c1")
    assert ended.value.code == 1 and "DOCKMGR_ENCRYPTION_KEYS" in capsys.readouterr().err

    settings.ENCRYPTION_KEYS = [*other, *own]
    require_keys()
    settings.ENCRYPTION_KEYS = other
    world.instance("c2")  # one row that opens is enough
    require_keys()


def test_a_recorded_command_has_somebody_s_name(world: World, settings: Settings, capsys: Any) -> None:
    world.instance("c1")
    settings.ASK_WHO = True
    with pytest.raises(SystemExit) as ended:
        call_command("pause", "--customer-id", "c1")
    assert ended.value.code == 2 and "--as NAME" in capsys.readouterr().err
    call_command("instances")
    assert not AuditEntry.objects.exists()
    call_command("pause", "--customer-id", "c1", "--as", "ada")
    settings.OPERATOR = "cron"
    call_command("resume", "--customer-id", "c1")
    assert [entry.actor for entry in AuditEntry.objects.order_by("pk")] == ["cli:ada", "cli:cron"]
    with pytest.raises(SystemExit):
        call_command("pause", "--customer-id", "c1", "--as", "no name;")
