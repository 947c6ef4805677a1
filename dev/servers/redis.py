"""Redis: the broker the environment names, or a private server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from kombu import Connection
from kombu.exceptions import OperationalError
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from dev.servers.failures import ServerFailed, ServerMissing
from dev.servers.folders import SOCKET_PATH_LIMIT, short_folder, work_folder
from dev.servers.packages import require
from dev.servers.ports import on_free_port
from dev.servers.process import ServerProcess

ANSWER_TIMEOUT = 5  # seconds
SQUEEZED = ("--list-compress-depth", "1")  # messages of a sweep are much alike: a fifth of the memory


@contextmanager
def broker(folder: Path, environ: Mapping[str, str]) -> Iterator[str]:
    """URL of the broker in `DOCKMGR_BROKER_URL`, left as it is, or of a private Redis below `folder`.

    `ServerMissing` when the one that is named does not answer.
    """
    if url := environ.get("DOCKMGR_BROKER_URL"):
        _must_answer(url)
        yield url
    else:
        with redis_server(folder) as url:
            yield url


@contextmanager
def redis_server(
    folder: Path,
    *,
    socket: Path | None = None,
    persist: bool = False,
    tcp: bool = False,
    options: Sequence[str] = (),
) -> Iterator[str]:
    """Broker URL of a private Redis, which ends at exit.

    It listens on a Unix socket (`socket`, or one in a temporary folder) or, with `tcp`, on a free
    port of 127.0.0.1. With `persist` its data stay in `folder`/redis for the next start. `options` are
    further words of its command.
    """
    program = require("redis-server", "redis-server", "Redis")
    with work_folder(folder, "redis", persist=persist) as data, short_folder() as short:
        start = _Starter(program, data, persist, [short] if persist else [short, data])
        start.add(options)
        path = socket or short / "redis.sock"
        server, url = on_free_port(start.on_port) if tcp else start.on_socket(path)
        try:
            yield url
        finally:
            server.stop()
            path.unlink(missing_ok=True)


class _Starter:
    def __init__(self, program: str, data: Path, persist: bool, folders: list[Path]) -> None:
        append = "yes" if persist else "no"
        self._command = [program, "--dir", str(data), "--save", "", "--appendonly", append, *SQUEEZED]
        self._log = data / "redis.log"
        self._folders = folders

    def add(self, options: Sequence[str]) -> None:
        """Further words of the command."""
        self._command += options

    def on_port(self, port: int) -> tuple[ServerProcess, str]:
        listen = ["--port", str(port), "--bind", "127.0.0.1"]
        return self._start(listen, _client(port=port)), f"redis://127.0.0.1:{port}/0"

    def on_socket(self, path: Path) -> tuple[ServerProcess, str]:
        if len(str(path).encode()) >= SOCKET_PATH_LIMIT:
            raise ServerFailed(f"The socket path {path} is longer than {SOCKET_PATH_LIMIT - 1} bytes.")
        client = _client(unix_socket_path=str(path))
        if _process_id(client) is not None:  # Redis would take the socket from the one that serves it
            client.close()
            raise ServerFailed(f"Another Redis serves {path} already.")
        listen = ["--port", "0", "--unixsocket", str(path), "--unixsocketperm", "700"]
        return self._start(listen, client), f"redis+socket://{quote(str(path))}"

    def _start(self, listen: list[str], client: Redis) -> ServerProcess:
        server = ServerProcess("Redis", [*self._command, *listen], self._log, folders=self._folders)
        try:
            server.wait_until(lambda: _process_id(client) == server.pid)
        except BaseException:
            server.stop()
            raise
        finally:
            client.close()
        return server


def _client(port: int = 0, unix_socket_path: str | None = None) -> Redis:
    """A client without retries of its own: they would take seconds while the server starts."""
    once = Retry(NoBackoff(), retries=0)
    return Redis(port=port, unix_socket_path=unix_socket_path, retry=once, socket_timeout=ANSWER_TIMEOUT)


def _process_id(client: Redis) -> int | None:
    """Process id of the Redis that answers there, or None: another one may sit on the port."""
    try:
        return int(client.info("server")["process_id"])
    except RedisError:
        return None


def _must_answer(url: str) -> None:
    with Connection(url, connect_timeout=ANSWER_TIMEOUT) as connection:
        try:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=ANSWER_TIMEOUT)
        except OperationalError as error:
            said = str(error).rstrip(".")
            raise ServerMissing(
                f"The broker that DOCKMGR_BROKER_URL names ({connection.as_uri()}) does not answer: {said}."
            ) from error
