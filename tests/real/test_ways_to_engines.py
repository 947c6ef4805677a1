"""Engines behind TLS and SSH: the ways that work, and what is wrong with those that don't, in words."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from dev.servers.ports import free_port
from instances.containers.spec import ContainerSpec
from instances.engine.certificates import TlsFiles
from instances.engine.docker_engine import DockerEngine
from instances.engine.pool import EngineAddress, certificate_ends
from instances.engine.ssh import SshFiles
from instances.errors import EngineUnreachable, EngineUnusable
from tests.hostile_server import HostileServer
from tests.real.certificates import Signed, TlsDoor, sign
from tests.real.live import wait_until
from tests.real.silent_path import SilentPath
from tests.real.ssh_server import SshServer

pytestmark = pytest.mark.real
TIMEOUT = 20.0  # seconds: the machine may be busy
SHORT = 3.0


@dataclass
class Doors:
    """One engine behind TLS, its server's certificate good, outdated or another's, and behind SSH."""

    folder: Path
    urls: dict[str, str]
    ssh: SshServer

    def tls(self, door: str, ca: str = "ca", own: str = "client", key: str = "") -> DockerEngine:
        key = key or own
        files = TlsFiles(*(str(self.folder / name) for name in (f"{ca}.pem", f"{own}.pem", f"{key}.key")))
        return DockerEngine(self.urls[door], tls=files, timeout=TIMEOUT)

    def in_clear(self, door: str) -> DockerEngine:
        return DockerEngine(self.urls[door], insecure=False, timeout=TIMEOUT)

    def by_ssh(self, key: str = "good", known: str = "known", url: str = "") -> DockerEngine:
        files = SshFiles(self.ssh.file(key) if key else "", self.ssh.file(known))
        return DockerEngine(url or self.ssh.url, keys=files, timeout=TIMEOUT)


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory, docker_url: str) -> Iterator[Doors]:
    folder, socket_path = tmp_path_factory.mktemp("ways"), urlsplit(docker_url).path
    ca, other = sign(folder, "ca"), sign(folder, "other")
    own: dict[str, Signed] = {
        "good": sign(folder, "good", ca, days=9),
        "outdated": sign(folder, "outdated", ca, days=-1),
        "elsewhere": sign(folder, "elsewhere", ca, address="127.0.0.9"),
    }
    sign(folder, "client", ca)
    sign(folder, "late", ca, days=-1)
    sign(folder, "stranger", other)
    sign(folder, "locked", ca, passphrase=b"passphrase")
    shutil.copy(folder / "ca.key", folder / "no_pem.pem")
    (folder / "folder.key").mkdir()
    ssh = SshServer(tmp_path_factory.mktemp("ssh"), docker_url)
    good, outdated, elsewhere = (TlsDoor(socket_path, signed, ca) for signed in own.values())
    plain = HostileServer("ok json")
    with good.open(), outdated.open(), elsewhere.open(), ssh.running(), plain:
        urls = {name: door.url for name, door in zip(own, (good, outdated, elsewhere), strict=True)}
        urls["ssh"] = f"tcp://127.0.0.1:{ssh.port}"
        urls["plain"] = f"tcp://{urlsplit(plain.url('')).netloc}"
        urls["nowhere"] = "tcp://engine.invalid:2376"
        yield Doors(folder, urls, ssh)


FAULTS: dict[str, tuple[Callable[[Doors], DockerEngine], str]] = {
    "wrong authority": (
        lambda d: d.tls("good", ca="other"),
        "is not signed by the authority in",
    ),
    "outdated server": (lambda d: d.tls("outdated"), "its certificate has expired"),
    "another's certificate": (lambda d: d.tls("elsewhere"), "is for another name or address"),
    "outdated client": (
        lambda d: d.tls("good", own="late"),
        r"our certificate \S+ expired on 2",
    ),
    "foreign client": (
        lambda d: d.tls("good", own="stranger"),
        r"it refuses our certificate \S+",
    ),
    "key with a passphrase": (lambda d: d.tls("good", own="locked"), r"the key in \S+ has a passphrase"),
    "key of another": (lambda d: d.tls("good", key="late"), "does not belong to the certificate in"),
    "missing authority": (lambda d: d.tls("good", ca="gone"), r"gone.pem can't be read: No such file"),
    "no certificate": (lambda d: d.tls("good", ca="no_pem"), "holds no certificate of an authority"),
    "no TLS there": (lambda d: d.tls("ssh"), "it does not speak TLS at that port"),
    "no TLS but HTTP there": (lambda d: d.tls("plain"), "it does not speak TLS at that port"),
    "a folder for a key": (
        lambda d: d.tls("good", key="folder"),
        r"folder.key can't be read: Is a directory",
    ),
    "in clear": (lambda d: d.in_clear("good"), "give the host tls files, or say insecure: true"),
    "unknown name": (lambda d: d.tls("nowhere"), "there is no machine of that name"),
    "unknown SSH host": (lambda d: d.by_ssh(known="nobody"), "its SSH host key is not among the known hosts"),
    "changed SSH host": (lambda d: d.by_ssh(known="changed_hosts"), "is not the one the known hosts have"),
    "refused SSH key": (lambda d: d.by_ssh("stranger"), r"it refuses the SSH key \S+stranger"),
    "SSH key with a passphrase": (lambda d: d.by_ssh("locked"), r"the SSH key \S+ has a passphrase"),
    "no SSH key": (lambda d: d.by_ssh("nobody"), r"the file \S+nobody holds no private key"),
    "neither key nor agent": (lambda d: d.by_ssh(""), "names none, and there is no agent that has one"),
    "SSH key that others may read": (lambda d: d.by_ssh("shared"), "because others may read its file"),
    "missing SSH key": (lambda d: d.by_ssh("gone"), r"gone can't be read: No such file"),
    "SSH user without Docker": (lambda d: d.by_ssh("powerless"), "that user may not use Docker there"),
    "SSH user without a program": (
        lambda d: d.by_ssh("empty_handed"),
        "there is no program docker for that user",
    ),
    "unknown SSH name": (lambda d: d.by_ssh(url="ssh://engine.invalid"), "there is no machine of that name"),
    "a password in the address": (lambda d: d.by_ssh(url="ssh://a:b@c"), "must read ssh://user@host"),
}


@pytest.mark.parametrize(("way", "words"), FAULTS.values(), ids=FAULTS.keys())
def test_what_is_set_up_wrongly_is_told_in_words(
    doors: Doors,
    way: Callable[[Doors], DockerEngine],
    words: str,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    with closing(way(doors)) as engine, pytest.raises(EngineUnusable) as caught:
        engine.ping()
    told = str(caught.value)
    assert re.fullmatch(r"The Docker Engine at \S+ can't be used: [^\n]+\.", told), told
    assert re.search(words, told), told
    assert capfd.readouterr() == ("", ""), "nothing goes past the log"


def test_an_ssh_server_that_is_away_is_out_of_reach(doors: Doors) -> None:
    with closing(doors.by_ssh(url=f"ssh://127.0.0.1:{free_port()}")) as engine:
        with pytest.raises(EngineUnreachable, match="its SSH server refuses the connection") as caught:
            engine.ping()
        assert not isinstance(caught.value, EngineUnusable)


def silenced(doors: Doors, way: str, port: int) -> DockerEngine:
    """The engine by another port, as its keys and certificates have it."""
    if way == "tls":
        files = TlsFiles(*(str(doors.folder / name) for name in ("ca.pem", "client.pem", "client.key")))
        return DockerEngine(f"tcp://127.0.0.1:{port}", tls=files, timeout=SHORT)
    known = Path(doors.ssh.file("known")).read_text().replace(str(doors.ssh.port), str(port))
    Path(doors.ssh.file("by_another_port")).write_text(known)
    keys = SshFiles(doors.ssh.file("good"), doors.ssh.file("by_another_port"))
    return DockerEngine(doors.ssh.url.replace(str(doors.ssh.port), str(port)), keys=keys, timeout=SHORT)


def answers(engine: DockerEngine) -> bool:
    try:
        engine.ping()
    except EngineUnreachable:
        return False
    return True


@pytest.mark.parametrize("way", ["tls", "ssh"])
def test_a_line_that_falls_silent_is_given_up_in_words_and_serves_again(doors: Doors, way: str) -> None:
    port = doors.ssh.port if way == "ssh" else int(doors.urls["good"].rpartition(":")[2])
    path = SilentPath(("127.0.0.1", port))
    with path.running(), closing(silenced(doors, way, path.port)) as engine:
        for _ in ("a line that is there", "one that is made anew"):
            wait_until(lambda: answers(engine))  # a busy machine may need longer for one line than SHORT
            path.fall_silent()
            with pytest.raises(EngineUnreachable, match="it did not answer in time") as caught:
                engine.ping()
            assert not isinstance(caught.value, EngineUnusable)
            path.speak()


def test_both_sides_certificates_tell_when_they_end(doors: Doors) -> None:
    paths = tuple(str(doors.folder / name) for name in ("ca.pem", "client.pem", "client.key"))
    with closing(doors.tls("good")) as engine:
        engine.ping()
    found = certificate_ends(EngineAddress(doors.urls["good"], (paths[0], paths[1], paths[2])))
    assert [each.side for each in found] == ["ours", "engine"]
    assert (found[0].at - found[1].at).days == 91


def test_who_asks_whether_an_engine_answers_comes_anew_each_time(doors: Doors) -> None:
    """Connections that are open go on working when their certificate has ceased to."""
    for end in ("pem", "key"):
        shutil.copy(doors.folder / f"client.{end}", doors.folder / f"changing.{end}")
    with closing(doors.tls("good", own="changing")) as engine:
        engine.list_containers()
        for end in ("pem", "key"):
            shutil.copy(doors.folder / f"late.{end}", doors.folder / f"changing.{end}")
        engine.list_containers()
        with pytest.raises(EngineUnusable, match="expired on 2"):
            engine.ping()


def ssh_processes(doors: Doors) -> list[str]:
    """Processes of either side of this server's lines."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0") if entry.name.isdigit() else []
            is_of_server = str(doors.ssh.pid) in (entry / "stat").read_text().split()[3:4] if words else False
        except OSError:
            continue
        if is_of_server or str(doors.ssh.port).encode() in words:
            found.append(b" ".join(words).decode())
    return found


def test_an_engine_behind_ssh_does_all_and_leaves_no_process(
    doors: Doors, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(doors.by_ssh()) as engine:
        names = [container.name for container in engine.list_containers()]
        assert engine.create_volume("dockmgr-ways-to-engines", {"dockmgr.managed": "true"})
        assert "dockmgr-ways-to-engines" not in names
        engine.remove_volume("dockmgr-ways-to-engines")
        assert len(ssh_processes(doors)) >= 2
    wait_until(lambda: ssh_processes(doors) == [], 30)
    with doors.ssh.agent() as agent, closing(doors.by_ssh("locked")) as engine:
        monkeypatch.setenv("SSH_AUTH_SOCK", agent)
        engine.ping()


def test_a_line_that_is_cut_is_noticed_and_made_anew(doors: Doors, demo_image: str) -> None:
    spec = ContainerSpec(name=f"dockmgr-cut-{doors.ssh.port}", image=demo_image, labels={}, env={})
    with closing(doors.by_ssh()) as engine:
        container = engine.create(spec)
        try:
            engine.start(container)
            log = engine.logs(container, lines=10, follow=True)
            next(log)
            doors.ssh.cut()
            with pytest.raises(EngineUnreachable):
                list(log)
            log.close()
            assert engine.inspect(container), "the next call takes a new line"
        finally:
            engine.remove(container, anonymous_volumes=True)
