"""The servers that tests and demo start: they answer, and nothing of them is left afterwards."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest
from redis import Redis

from dev import demo_image
from dev.servers import (
    ServerFailed,
    ServerMissing,
    broker,
    docker_engine,
    free_port,
    postgres,
    redis_server,
)
from dev.servers.packages import require
from tests.real.live import (
    TAG,
    container_output,
    docker_client,
    get,
    is_up,
    processes_naming,
    run,
    wait_until,
)

pytestmark = pytest.mark.real

CHECKOUT = Path(__file__).parents[2]


def redis_client(url: str) -> Redis:
    return Redis.from_url(url.replace("redis+socket://", "unix://"))


def test_what_cannot_be_installed_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(
        ServerMissing, match=r"A thing is needed and was not found: install it .*thing-server"
    ):
        require("no-such-program", "thing-server", "A thing")


class TestRedis:
    @pytest.mark.parametrize("tcp", [False, True])
    def test_a_private_one_answers_and_leaves_nothing(self, tmp_path: Path, tcp: bool) -> None:
        with redis_server(tmp_path, tcp=tcp) as url, redis_client(url) as client:
            assert client.ping()
            pid = client.info("server")["process_id"]
        assert not Path(f"/proc/{pid}").exists()
        assert list(tmp_path.iterdir()) == []
        assert not Path(url.removeprefix("redis+socket://")).parent.exists()

    def test_a_persistent_one_keeps_its_data(self, tmp_path: Path) -> None:
        for expected in (None, b"here"):
            with redis_server(tmp_path, persist=True) as url, redis_client(url) as client:
                assert client.get("key") == expected
                client.set("key", "here")

    def test_a_socket_that_is_served_already_is_left_alone(self, tmp_path: Path) -> None:
        with redis_server(tmp_path) as url, redis_client(url) as client:
            taken = Path(url.removeprefix("redis+socket://"))
            with pytest.raises(ServerFailed, match="serves"), redis_server(tmp_path, socket=taken):
                pass
            assert client.ping()

    def test_one_named_by_the_environment_runs_on_with_its_keys(self, tmp_path: Path) -> None:
        with redis_server(tmp_path) as named, redis_client(named) as client:
            client.set("key", "theirs")
            with broker(tmp_path, {"DOCKMGR_BROKER_URL": named}) as url:
                assert url == named
            assert client.get("key") == b"theirs"

    def test_a_named_broker_that_does_not_answer_is_missing_and_its_password_is_not_told(
        self, tmp_path: Path
    ) -> None:
        named = f"redis://:s3cret@127.0.0.1:{free_port()}/0"
        with (
            pytest.raises(ServerMissing, match="DOCKMGR_BROKER_URL") as caught,
            broker(tmp_path, {"DOCKMGR_BROKER_URL": named}),
        ):
            pass
        assert "s3cret" not in str(caught.value)


class TestPostgres:
    def test_a_private_one_answers_and_leaves_nothing(self, tmp_path: Path) -> None:
        with postgres(tmp_path, {}) as url:
            with psycopg.connect(url) as connection:
                row = connection.execute("SHOW data_directory").fetchone()
            assert row is not None
            with postgres(tmp_path, {"DATABASE_URL": url}) as named:
                assert named == url
            psycopg.connect(url).close()
        assert not Path(row[0]).parent.exists()
        assert processes_naming(row[0]) == []
        assert list(tmp_path.iterdir()) == []

    def test_it_ends_promptly_under_a_client_that_stays(self, tmp_path: Path) -> None:
        with postgres(tmp_path, {}) as url:
            staying = psycopg.connect(url)
            began = time.monotonic()
        assert time.monotonic() - began < 9  # KILL would come after 10
        staying.close()

    def test_a_named_one_that_does_not_answer_is_missing(self, tmp_path: Path) -> None:
        environ = {"DATABASE_URL": f"postgres://127.0.0.1:{free_port()}/none"}
        with pytest.raises(ServerMissing, match="DATABASE_URL"), postgres(tmp_path, environ):
            pass


class Traces:
    """What a private engine has on the machine, looked up while it runs."""

    def __init__(self, url: str) -> None:
        self.folder = Path(url.removeprefix("unix://")).parent
        settings = json.loads((self.folder / "daemon.json").read_text())
        self.bridge = Path("/sys/class/net", settings["bridge"])
        self.data = settings["data-root"]
        assert self.bridge.exists()

    def left(self) -> list[str]:
        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
        places = [path for path in (self.folder, self.bridge, Path(self.data)) if path.exists()]
        mounted = [line for line in mounts if f"{self.folder}/" in line or f"{self.data}/" in line]
        return [*map(str, places), *mounted, *processes_naming(str(self.folder))]


class TestEngine:
    def test_stop_start_and_kill_keep_its_containers_and_the_end_leaves_nothing(self, tmp_path: Path) -> None:
        with docker_engine(tmp_path, {}) as server, docker_client(server.url) as client:
            assert server.private
            traces = Traces(server.url)
            demo_image.build(server.url, TAG)
            port = free_port()
            run(client, port, restart_policy={"Name": "always"})
            for end in (server.stop, server.kill):
                wait_until(lambda: is_up(port))
                end()
                assert not is_up(port)
                server.start()
            wait_until(lambda: is_up(port))
            assert [found.status for found in client.containers.list()] == ["running"]
        assert traces.left() == []
        assert list(tmp_path.iterdir()) == []

    def test_a_killed_engine_leaves_no_process_of_its_containers(self, tmp_path: Path) -> None:
        with docker_engine(tmp_path, {}) as server, docker_client(server.url) as client:
            traces = Traces(server.url)
            demo_image.build(server.url, TAG)
            container = run(client, free_port())
            container.reload()
            pid = container.attrs["State"]["Pid"]
            server.kill()
            assert Path(f"/proc/{pid}").exists()
        assert traces.left() == []
        wait_until(lambda: not Path(f"/proc/{pid}").exists())
        assert [top for top, folders, _ in os.walk("/sys/fs/cgroup") if container.id in folders] == []

    @pytest.mark.thorough
    def test_two_work_side_by_side_and_the_end_of_one_is_no_harm_to_the_other(self, tmp_path: Path) -> None:
        port = free_port()
        with docker_engine(tmp_path, {}) as one:
            with docker_engine(tmp_path, {}) as other, docker_client(other.url) as client:
                assert one.url != other.url
                assert Traces(one.url).bridge != Traces(other.url).bridge
                demo_image.build(other.url, TAG)
                run(client, free_port())
            demo_image.build(one.url, TAG)
            with docker_client(one.url) as client:
                run(client, port)
                wait_until(lambda: is_up(port))

    def test_a_persistent_one_keeps_volumes_and_containers(self, tmp_path: Path) -> None:
        port = free_port()
        with docker_engine(tmp_path, {}, persist=True) as server, docker_client(server.url) as client:
            traces = Traces(server.url)
            demo_image.build(server.url, TAG)
            run(client, port, name="kept", volumes={"kept": {"bind": "/data"}})
            wait_until(lambda: is_up(port))
        assert traces.left() == [traces.data]
        with docker_engine(tmp_path, {}, persist=True) as server, docker_client(server.url) as client:
            container = client.containers.get("kept")
            container.start()
            wait_until(lambda: is_up(port))
            assert container_output(container, "cat /data/boots").count("boot 20") == 2

    def test_one_that_does_not_start_tells_its_last_words_and_leaves_nothing(self, tmp_path: Path) -> None:
        with (
            pytest.raises(ServerFailed, match=r"(?s)The Docker Engine ended with exit code 1\..*insecure"),
            docker_engine(tmp_path, {}, insecure_registries=["http://no/such"]),
        ):
            pass
        assert list(tmp_path.iterdir()) == []
        assert processes_naming(str(tmp_path)) == []

    def test_one_named_by_the_environment_is_used_and_never_stopped(self, tmp_path: Path) -> None:
        with docker_engine(tmp_path, {}) as named, docker_client(named.url) as client:
            with docker_engine(tmp_path, {"DOCKER_HOST": named.url}) as used:
                assert (used.url, used.private) == (named.url, False)
                for change in (used.stop, used.kill, used.start):
                    with pytest.raises(PermissionError, match="not ours"):
                        change()
            assert client.ping()

    def test_a_named_one_that_does_not_answer_is_missing(self, tmp_path: Path) -> None:
        for url in (f"unix://{tmp_path}/none.sock", f"tcp://127.0.0.1:{free_port()}"):
            with (
                pytest.raises(ServerMissing, match="DOCKER_HOST"),
                docker_engine(tmp_path, {"DOCKER_HOST": url}),
            ):
                pass


OWNER = """
import sys, time
from pathlib import Path
from dev.servers import docker_engine, redis_server
from dev import demo_image
from tests.real.live import docker_client, run

folder, port = Path(sys.argv[1]), int(sys.argv[2])
with redis_server(folder) as broker, docker_engine(folder, {}) as server:
    demo_image.build(server.url, "demo")
    with docker_client(server.url) as client:
        run(client, port, "demo")
        print(server.url, broker, flush=True)
        sys.stdin.read()
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_servers_end_with_the_process_that_wanted_them(tmp_path: Path, how: signal.Signals) -> None:
    port = free_port()
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path), str(port)],
        cwd=CHECKOUT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as owner:
        assert owner.stdout is not None
        engine_url, broker_url = owner.stdout.readline().split()
        traces = Traces(engine_url)
        wait_until(lambda: is_up(port))
        os.kill(owner.pid, how)
    wait_until(lambda: traces.left() == [])
    broker_socket = Path(broker_url.removeprefix("redis+socket://"))
    wait_until(lambda: not broker_socket.parent.exists() and not list(tmp_path.iterdir()))
    assert processes_naming(str(broker_socket)) == []
    with pytest.raises(OSError, match="refused"):
        get(port)
