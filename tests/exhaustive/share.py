"""The same generated cases on SQLite, and one of five on PostgreSQL, outside of a test's transaction."""

from __future__ import annotations

from typing import Any

import pytest
from django.apps import apps
from django.db import connection, transaction

ON_POSTGRES = connection.vendor == "postgresql"
ONE_OF = 5 if ON_POSTGRES else 1  # so many of the cases are tried
in_transactions_of_its_own = pytest.mark.django_db(transaction=ON_POSTGRES)

# Bytes no text column takes, escapes a terminal obeys, and a line nobody can read to its end.
HOSTILE = b"a\0b \xff\xfe\xc3( \x1b[2J\x1b]0;x\x07 \xe2\x80\xae \xed\xa0\x80 \r\n" + b"x" * 300_000 + b"\n\0"


def forget_everything() -> None:
    """Every row of dockmgr goes, as if nothing had ever happened."""
    models: list[Any] = list(apps.get_app_config("instances").get_models())
    with transaction.atomic():
        for model in models:
            rows = model._base_manager.all()
            rows._raw_delete(rows.db)
