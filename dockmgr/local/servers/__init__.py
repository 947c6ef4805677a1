"""Finds or starts the real servers that tests, demo and `make up` need; whatever it starts, it removes."""

from dockmgr.local.servers.engine import EngineServer, docker_engine
from dockmgr.local.servers.failures import ServerFailed, ServerMissing
from dockmgr.local.servers.ports import free_port
from dockmgr.local.servers.postgres import postgres
from dockmgr.local.servers.redis import broker, redis_server
from dockmgr.local.servers.registry import Registry, registry

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
