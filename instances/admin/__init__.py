"""The operator's desk: the fleet, its state, what was done, and the buttons to act.

The web process never talks to Docker: pages read the database, and everything else is enqueued.
"""

from instances.admin import (
    channels,
    hosts,
    incidents,
    instances,
    login,
    people,
    plans,
    purges,
    records,
    registries,
    schedule,
    selections,
    tokens,
)

__all__ = [
    "channels",
    "hosts",
    "incidents",
    "instances",
    "login",
    "people",
    "plans",
    "purges",
    "records",
    "registries",
    "schedule",
    "selections",
    "tokens",
]
