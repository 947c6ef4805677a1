"""What dockmgr has written down, read straight from its database: for conditions that are waited for."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg


class Records:
    """The database of one fleet; customers are known by the names without the fleet's prefix."""

    home: Path
    prefix: str
    database_url: str | None

    def customer(self, name: str) -> str:
        return f"{self.prefix}-{name}"

    def sql(self, query: str) -> list[tuple[Any, ...]]:
        """Rows straight from the database, for conditions that are waited for."""
        if self.database_url:
            with psycopg.connect(self.database_url) as server:
                return server.execute(query.encode()).fetchall()
        with closing(sqlite3.connect(self.home / "dockmgr.sqlite3", timeout=20)) as file:
            return file.execute(query).fetchall()

    def change(self, statement: str) -> None:
        """Change the SQLite database behind dockmgr's back."""
        with closing(sqlite3.connect(self.home / "dockmgr.sqlite3", timeout=20)) as file, file:
            file.execute(statement)

    def health(self, column: str = "status") -> dict[str, Any]:
        """A column of every present instance's health by short name."""
        rows = self.sql(
            f"SELECT customer_id, h.{column} FROM instances_instance i JOIN instances_health h"
            " ON h.instance_id = i.id WHERE decommissioned_at IS NULL"
        )
        return {customer.removeprefix(f"{self.prefix}-"): value for customer, value in rows}

    def unfinished(self, name: str | None = None) -> int:
        """How many operations are under way, of all customers or of one."""
        whose = f" AND customer_id = '{self.customer(name)}'" if name else ""
        query = f"SELECT count(*) FROM instances_operation WHERE finished_at IS NULL{whose}"
        return int(self.sql(query)[0][0])

    def restarted(self, name: str) -> list[str]:
        """How each restart of a customer stands: asking a command again and again takes a core."""
        rows = self.sql(
            "SELECT status FROM instances_operation"
            f" WHERE kind = 'restart' AND customer_id = '{self.customer(name)}'"
        )
        return [str(status) for (status,) in rows]

    def at_step(self, name: str, step: str) -> bool:
        """Whether the customer's operation is in the middle of a step."""
        rows = self.sql(
            "SELECT CAST(steps AS TEXT) FROM instances_operation"
            f" WHERE finished_at IS NULL AND customer_id = '{self.customer(name)}'"
        )
        steps = [entry for row in rows for entry in json.loads(row[0])]
        return any(entry["name"] == step and entry["status"] == "running" for entry in steps)
