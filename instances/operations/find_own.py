"""An instance's own container on its engine, whoever renamed it or made it anew."""

from __future__ import annotations

from instances.containers.identity import DEAD, Identified, Listing, identify, way_on
from instances.engine.port import Engine
from instances.models import Instance
from instances.models.installation import installation_id


def find_own(engine: Engine, instance: Instance) -> Identified:
    """The instance's own container, and what is odd about it. One call where nothing is."""
    facts = engine.inspect(instance.container_id) if instance.container_id else None
    if facts is not None and facts.name == instance.container_name:
        return Identified(facts.summary)
    return identify(instance.wanted, Listing.of(engine.list_containers(), installation_id()))


def sharers_of_data(engine: Engine, instance: Instance) -> list[str]:
    """Names of other containers that mount a volume of the instance and can run, in order."""
    listing = Listing.of(engine.list_containers(), installation_id())
    found = identify(instance.wanted, listing).container
    users = {user for volume in instance.held_volumes for user in engine.volume_users(volume)}
    dead = {name for name, container in listing.by_name.items() if container.state == DEAD}
    return sorted(users - dead - {found.name if found else ""})


def what_to_do(found: Identified, instance: Instance) -> str:
    """The finding and the way on, as sentences for people."""
    return f"{found.sentence} {way_on(found, instance.customer_id, adopted=instance.is_adopted)}"
