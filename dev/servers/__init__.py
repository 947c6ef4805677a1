"""Finds or starts the real servers that tests, demo and `make up` need; whatever it starts, it removes."""

from dev.servers.engine import EngineServer, docker_engine
from dev.servers.failures import ServerFailed, ServerMissing
from dev.servers.ports import free_port
from dev.servers.postgres import postgres
from dev.servers.redis import broker, redis_server
from dev.servers.registry import Registry, registry

__all__ = [
    "EngineServer",
    "Registry",
    "ServerFailed",
    "ServerMissing",
    "broker",
    "docker_engine",
    "free_port",
    "postgres",
    "redis_server",
    "registry",
]
