"""`make up`: all of dockmgr in the foreground on the embedded defaults, until Ctrl-C."""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import django
from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db import connections

from dev import interruption
from dev.processes import Program, Supervisor
from dev.servers import EngineServer, ServerFailed, ServerMissing, broker, docker_engine, redis_server
from dockmgr.environment import Environment

TOP = Path(__file__).resolve().parents[1]
ADDRESS = "127.0.0.1"
USUAL_PORT = 8000
BACKLOG = 64
WEB_THREADS = "8"
NOT_COLLECTED = "ignore:No directory at"  # static files are found in their packages here
CHECK_THREADS = "50"
QUIET = ("--without-gossip", "--without-mingle", "--without-heartbeat")


def main() -> int:
    """Exit code: 0 when stopped by Ctrl-C or TERM, 1 when something is missing, 2 for a bad setting."""
    interruption.raise_once()
    try:
        _up()
    except KeyboardInterrupt:
        print("dockmgr has stopped.", flush=True)
    except (ServerMissing, ServerFailed) as error:
        print(error, file=sys.stderr)
        return 1
    except ImproperlyConfigured as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _up() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dockmgr.settings")
    port = Environment(os.environ).whole("PORT", USUAL_PORT, most=65535)
    django.setup()
    from django.conf import settings

    with ExitStack() as stack:
        stack.enter_context(_alone_in(settings.HOME))
        stack.enter_context(_broker(settings.HOME, settings.EMBEDDED_BROKER))
        engine = stack.enter_context(docker_engine(settings.HOME, os.environ, use_found=True, persist=True))
        _prepare_database()
        listener = stack.enter_context(listen(port))
        _tell(engine, settings.HOME, listener, port)
        supervisor = Supervisor()
        stack.callback(supervisor.stop)
        stack.callback(interruption.ignore)
        for program in programs(engine.url, listener.fileno()):
            supervisor.run(program)
        interruption.wait_for_one()


@contextmanager
def _alone_in(home: Path) -> Iterator[None]:
    """Two at once would share the broker's files. The lock goes with the process, however it ends."""
    try:
        home.mkdir(parents=True, exist_ok=True)
        lock = (home / "up.lock").open("w")
    except OSError as error:
        raise ServerFailed(f"The state folder {home} can't be used: {error.strerror}.") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ServerFailed(f"Another one is up in the state folder {home}.") from None
        yield


@contextmanager
def _broker(home: Path, usual: Path) -> Iterator[str]:
    if os.environ.get("DOCKMGR_BROKER_URL"):
        with broker(home, os.environ) as url:
            yield url
    else:
        with redis_server(home, socket=usual, persist=True) as url:
            yield url


def _prepare_database() -> None:
    """Migrate, and make the first user; its password is printed this once."""
    call_command("migrate", verbosity=0)
    users = get_user_model()._default_manager
    if not users.exists():
        password = secrets.token_urlsafe(12)
        users.create_superuser("admin", "", password)
        print(f"The first user is admin with the password {password} (shown only now).", flush=True)
    connections.close_all()


def listen(port: int) -> socket.socket:
    """A listening socket on 127.0.0.1: on `port`, or on a free one when that is taken."""
    for choice in (port, 0):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((ADDRESS, choice))
            listener.listen(BACKLOG)
            return listener
        except OSError as error:
            listener.close()
            if choice == 0 or error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise ServerFailed(f"No port of {ADDRESS} could be opened: {error.strerror}.") from error
    raise AssertionError("the second choice returns or raises")


def _tell(engine: EngineServer, home: Path, listener: socket.socket, port: int) -> None:
    got = listener.getsockname()[1]
    if got != port:
        print(f"Port {port} can't be had; port {got} is used.")
    print(f"State folder {home}; Docker Engine {engine.url}.")
    if engine.private:
        print(
            "That engine is a private one: its containers stop when this stops and start again with it; "
            f"other commands need DOCKER_HOST={engine.url}."
        )
    print(f"dockmgr serves http://{ADDRESS}:{got}/admin/; Ctrl-C stops it.", flush=True)


def programs(docker_url: str, web_socket: int) -> list[Program]:
    """What runs: web, two workers that serve all queues, and beat. Only workers know where the engine is."""
    plain = {name: value for name, value in os.environ.items() if name != "DOCKER_HOST"}
    plain["PYTHONUNBUFFERED"] = "1"
    working = {**plain, "DOCKER_HOST": docker_url}
    mark = secrets.token_hex(3)
    health = ["-Q", "health", "-P", "threads", "-c", CHECK_THREADS, "-n", f"health-{mark}@%h"]
    changes = ["-Q", "operations,notifications,celery", "-n", f"operations-{mark}@%h"]
    return [
        Program("web", _gunicorn(web_socket), plain, TOP, pass_fds=[web_socket]),
        Program("health", _celery("worker", *health, *QUIET), working, TOP),
        Program("operations", _celery("worker", *changes, *QUIET), working, TOP),
        Program("beat", _celery("beat", "--pidfile="), plain, TOP),
    ]


def _celery(*words: str) -> Sequence[str]:
    return [sys.executable, "-m", "celery", "--quiet", "-A", "dockmgr", *words]


def _gunicorn(web_socket: int) -> Sequence[str]:
    bind = ["--bind", f"fd://{web_socket}", "--threads", WEB_THREADS, "--no-control-socket"]
    return [sys.executable, "-W", NOT_COLLECTED, "-m", "gunicorn", *bind, "dockmgr.wsgi"]


if __name__ == "__main__":
    sys.exit(main())
