"""Hosts whose engine is known to be out of reach: one instance is looked at for all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from msgspec.structs import replace

from instances.checks.check_requests import CheckRequest, request_for
from instances.checks.observe import Check, unseen
from instances.checks.roster import Roster, rows_of
from instances.engine.pool import EngineAddress
from instances.incidents.hosts import engines_out_of_reach
from instances.outside import engine_address


@dataclass(frozen=True)
class CheckPlan:
    """How a number of instances is to be looked at.

    `usual` are on hosts nothing speaks against, `dark` on those out of reach, with the sentences that say
    why. `leads` are requests for the one instance each dark host is judged by.
    """

    usual: Roster
    leads: list[CheckRequest]
    dark: Roster
    reasons: Mapping[int, str]
    sweep_id: str | None = None

    def unseen(self, now: datetime) -> Iterator[Check]:
        """What is known without looking of all that no request is made for."""
        for host, ids in self.dark.of_host.items():
            for row in rows_of(ids):
                request = replace(request_for(row, None), sweep_id=self.sweep_id)
                yield unseen(request, self.reasons[host], now)


def plan_checks(roster: Roster, sweep_id: str | None = None) -> CheckPlan:
    """Tell what must be looked at from what is known. A few statements, whatever the number."""
    reasons = {host: incident.message for host, incident in engines_out_of_reach().items()}
    dark = {host: ids for host, ids in roster.of_host.items() if host in reasons}
    leads = [request_for(row, None) for row in rows_of(ids[0] for ids in dark.values())]
    return CheckPlan(
        usual=roster.without(dark),
        leads=[replace(lead, sweep_id=sweep_id, leads=True) for lead in leads],
        dark=Roster({host: ids[1:] for host, ids in dark.items()}),
        reasons=reasons,
        sweep_id=sweep_id,
    )


def dark_engines() -> dict[EngineAddress, str]:
    """The engines that are known to be out of reach, each with the sentence that says why."""
    found = engines_out_of_reach().values()
    return {engine_address(incident.host): incident.message for incident in found if incident.host}
