"""Having an engine make a container, for which it is given more time than for any other change."""

from __future__ import annotations

from typing import Any

from instances.engine.answers import CONTAINER, readable
from instances.engine.client import EngineClient, raise_for_status
from instances.limits import LONGEST_CALL

MAKING_SECONDS = LONGEST_CALL  # files that an image has where a new volume goes are copied, slowly if many


def made(client: EngineClient, config: dict[str, Any], name: str) -> str:
    """The id of a container made by the engine's own words. Raises what the SDK does."""
    url = f"{client.base_url}/v{client.api_version}/containers/create"
    asked = {key: value for key, value in config.items() if value is not None}
    response = client.post(url, params={"name": name}, json=asked, timeout=MAKING_SECONDS)
    raise_for_status(response)
    return str(readable(response.json(), CONTAINER, "Id")["Id"])
