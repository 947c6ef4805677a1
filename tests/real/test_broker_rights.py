"""The Redis that production has: a user of few rights, TLS, and refusals that say why."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from celery import Celery
from pytest_django.fixtures import Settings
from redis.exceptions import RedisError

from dev.servers.packages import require
from dockmgr.broker import broker
from dockmgr.start import warn_of_evictions
from instances.errors import OutOfReachError
from instances.observability.readiness import ask_broker
from tasks.broker.connection import reaching_broker, redis_at
from tests.real.commands import ROOT, Commands, Process
from tests.real.live import wait_until

pytestmark = pytest.mark.real
CERTIFY = """
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=ca -keyout ca-key.pem -out ca.pem \\
  -addext keyUsage=critical,keyCertSign,cRLSign
openssl req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout key.pem -out host.csr
printf 'subjectAltName=DNS:localhost\\n' > host.ext
openssl x509 -req -in host.csr -CA ca.pem -CAkey ca-key.pem -CAcreateserial -days 2 -extfile host.ext \\
    -out cert.pem
"""

MISSED = {
    "lpush": "may not run lpush",
    "brpop": "may not run brpop",
    "zadd": "may not run zadd",
    "evalsha": "may not run evalsha",
    "rpop": "its rights are too few|may not run rpop",  # only a script runs it; newer ones say which it was
}


@dataclass(frozen=True)
class Redis:
    """`address` is what the compose file's processes are given, but for host and port."""

    folder: Path
    port: int
    tls_port: int
    address: str

    @property
    def plain(self) -> str:
        return self.address.replace("redis:6379", f"localhost:{self.port}")

    @property
    def secured(self) -> str:
        return self.address.replace("redis://", "rediss://").replace(
            "redis:6379", f"localhost:{self.tls_port}"
        )

    @property
    def verified(self) -> str:
        return f"{self.secured}?ssl_ca_certs={self.folder}/ca.pem"


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    folder = tmp_path_factory.mktemp("redis")
    shutil.copytree(ROOT / "deploy", folder / "deploy")
    subprocess.run(
        [folder / "deploy" / "prepare.sh"], env={**os.environ, "DOCKER_SOCKET": str(folder)}, check=True
    )
    subprocess.run(["sh", "-ec", CERTIFY], cwd=folder, capture_output=True, check=True)
    address = (folder / "secrets/dockmgr/broker_url").read_text().strip()
    with (folder / "secrets/redis_acl").open("a") as rights:
        rights.writelines(f"user no-{name} on nopass ~* +@all -{name}\n" for name in MISSED)
    server = Redis(folder, free_port(), free_port(), address)
    words = [
        require("redis-server", "redis-server", "Redis"),
        "--port", str(server.port), "--dir", str(folder), "--save", "",
        "--tls-port", str(server.tls_port), "--tls-cert-file", "cert.pem", "--tls-key-file", "key.pem",
        "--tls-ca-cert-file", "ca.pem", "--tls-auth-clients", "no", "--protected-mode", "no",
        "--aclfile", str(folder / "secrets" / "redis_acl"),
    ]  # fmt: skip
    with subprocess.Popen(words, cwd=folder, stdout=subprocess.DEVNULL) as process:
        try:
            wait_until(lambda: pings(f"redis://localhost:{server.port}/0"))
            yield server
        finally:
            process.terminate()


def pings(url: str) -> bool:
    with closing(redis_at(url, 1)) as client:
        try:
            return bool(client.ping())
        except RedisError:
            return False


@contextmanager
def worker(home: Path, url: str) -> Iterator[Process]:
    environ = {"PATH": os.environ["PATH"], "DOCKMGR_HOME": str(home), "DOCKMGR_BROKER_URL": url}
    environ["DOCKMGR_ALIVE_FILE"] = str(home / "alive")
    with (
        closing(Commands(environ)) as commands,
        (home / "log").open("wb") as log,
        open(os.devnull, "rb") as nothing,
    ):
        assert commands.run("migrate", "--verbosity", "0").returncode == 0
        streams = [nothing.fileno(), log.fileno(), log.fileno()]
        process = commands.start(
            "-m", "celery", "-A", "dockmgr", "worker", "-n", "rights@test", streams=streams
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def test_a_user_of_few_rights_suffices_over_tls(redis: Redis, tmp_path: Path) -> None:
    url = broker(redis.verified)
    with worker(tmp_path, url), Celery("stranger", broker=url, backend=url, set_as_current=False) as app:
        sent = app.send_task("dockmgr.check_health", kwargs={"customer_id": "nobody"}, queue="operations")
        assert "nobody" in str(sent.get(timeout=240, propagate=False))
        wait_until((tmp_path / "alive").exists)
    said = (tmp_path / "log").read_text()
    assert "NOPERM" not in said and "refuses" not in said


def test_a_redis_that_refuses_says_why(redis: Redis, tmp_path: Path) -> None:
    password = redis.address.split(":")[2].partition("@")[0]
    reasons = {
        redis.plain.replace(password, "wrong"): "its user name or password is wrong",
        f"redis://localhost:{redis.port}/0": "its user may not run|it wants a user name",
        redis.secured: "its certificate is not trusted",
        redis.verified.replace("localhost", "127.0.0.1"): "its certificate is not trusted",
        redis.verified.replace(
            str(redis.tls_port), str(redis.port)
        ): "can't be reached|TLS can't be agreed on",
        redis.plain.replace("/0", "/9999"): "it has no database of that number",
        "redis://localhost:1/0": "can't be reached",
    }
    for url, reason in reasons.items():
        with (
            pytest.raises(OutOfReachError, match=reason) as refused,
            reaching_broker(),
            closing(redis_at(broker(url), 5)) as client,
        ):
            client.llen("health")
        assert password not in str(refused.value)
    with reaching_broker(), closing(redis_at(broker(f"{redis.secured}?ssl_cert_reqs=none"), 5)) as client:
        assert client.llen("health") == 0


def test_a_user_who_may_not_do_what_workers_do_is_told_before_one_tries(
    redis: Redis, settings: Settings
) -> None:
    for name, words in MISSED.items():
        settings.CELERY_BROKER_URL = f"redis://no-{name}:any@localhost:{redis.port}/0"
        assert re.search(words, ask_broker()["broker"].message), name
    settings.CELERY_BROKER_URL = redis.plain
    assert ask_broker()["broker"].message == "It answers; 0 messages wait."
    with closing(redis_at(redis.plain, 5)) as client:
        assert list(client.scan_iter("dockmgr:tried*")) == []


def test_a_process_says_at_its_start_that_messages_may_be_dropped(
    redis: Redis, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.CELERY_BROKER_URL = f"redis://no-rpop:any@localhost:{redis.port}/0"
    with closing(redis_at(settings.CELERY_BROKER_URL, 5)) as client:
        for memory, policy, said in (
            (0, "allkeys-lru", False),
            (10**9, "allkeys-lru", True),
            (10**9, "volatile-lru", False),
            (0, "noeviction", False),
        ):
            client.config_set("maxmemory", memory)
            client.config_set("maxmemory-policy", policy)
            caplog.clear()
            warn_of_evictions()
            assert ("maxmemory-policy" in caplog.text) is said, (memory, policy)
    for url in (redis.plain, "redis://localhost:1/0"):  # who may not ask, and nobody there
        settings.CELERY_BROKER_URL = url
        warn_of_evictions()


def test_a_worker_that_is_refused_says_it_once(redis: Redis, tmp_path: Path) -> None:
    with worker(tmp_path, broker(redis.plain.replace("dockmgr:", "nobody:"))):
        log, sentence = tmp_path / "log", "The broker refuses: its user name or password is wrong"
        wait_until(lambda: log.read_text().count("refuses") >= 1)
    said = log.read_text()
    assert sentence in said and "not of our form" not in said and "Traceback" not in said
