"""Removes what the demo made on an engine and a broker that may belong to somebody else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import docker
from docker.errors import DockerException, ImageNotFound
from kombu.utils.url import maybe_sanitize_url
from redis import Redis
from redis.exceptions import RedisError
from requests import RequestException

from dev.servers import ServerFailed
from instances.containers.spec import CUSTOMER_LABEL

TIMEOUT = 60  # seconds; removing waits for the engine
BATCH = 500


def remove_from_engine(url: str, customers: Sequence[str], image: str, network: str) -> list[str]:
    """Remove these customers' containers and volumes, image and network; returns what was removed.

    `ServerFailed` when the engine does not let them go.
    """
    with _client(url) as client:
        removed = []
        for customer in customers:
            own: dict[str, str | list[str] | bool] = {"label": f"{CUSTOMER_LABEL}={customer}"}
            for container in client.containers.list(all=True, filters=own, ignore_removed=True):
                container.remove(force=True)
                removed.append("container")
            for volume in client.volumes.list(filters=own):
                volume.remove()
                removed.append("volume")
        removed += ["network"] if _removed_network(client, network) else []
        return removed + _remove_image(client, image)


@contextmanager
def _client(url: str) -> Iterator[docker.DockerClient]:
    try:
        client = docker.DockerClient(base_url=url, timeout=TIMEOUT, use_ssh_client=True)
        try:
            yield client
        finally:
            client.close()
    except (DockerException, RequestException) as error:
        raise ServerFailed(
            f"What the demo made on the engine at {url} could not be removed: {error}"
        ) from error


def _removed_network(client: docker.DockerClient, network: str) -> bool:
    found = client.networks.list(names=[network])
    for each in found:
        each.remove()
    return bool(found)


def _remove_image(client: docker.DockerClient, image: str) -> list[str]:
    try:
        client.images.remove(image, force=True)
    except ImageNotFound:
        return []  # the demo did not come that far
    return ["image"]


def remove_from_broker(url: str, prefix: str) -> list[str]:
    """Delete every key that begins with `prefix`; returns one word per key. `ServerFailed` if that fails."""
    client = Redis.from_url(url.replace("redis+socket://", "unix://"))
    try:
        keys = list(client.scan_iter(match=f"{prefix}*", count=BATCH))
        for start in range(0, len(keys), BATCH):
            client.delete(*keys[start : start + BATCH])
    except RedisError as error:
        raise ServerFailed(
            f"The demo's keys ({prefix}*) could not be removed from {maybe_sanitize_url(url)}: {error}"
        ) from error
    finally:
        client.close()
    return ["broker key"] * len(keys)
