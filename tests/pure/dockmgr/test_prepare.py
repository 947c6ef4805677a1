"""What deploy/prepare.sh writes into .env suits the proxy that stands in front."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

TOP = Path(__file__).resolve().parents[3]
ADDRESS = "https://dockmgr.example.com"
PROXY = {"COMPOSE_PROFILES": "proxy"}
WORKERS = {"health", "operations"}
TRUST = {"DOCKMGR_TRUSTED_PROXIES": "1"}


def prepare(folder: Path, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    (folder / "deploy").mkdir()
    shutil.copy(TOP / "deploy" / "prepare.sh", folder / "deploy")
    return subprocess.run(
        [folder / "deploy" / "prepare.sh", *words],
        env={"PATH": os.environ["PATH"], "DOCKER_SOCKET": str(folder), **environ},
        capture_output=True,
        text=True,
        check=False,
    )


def written(folder: Path) -> dict[str, str]:
    lines = (folder / ".env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if not line.startswith("#"))


@pytest.mark.parametrize(
    ("words", "follows"),
    [
        ([ADDRESS], PROXY | TRUST),
        ([f"{ADDRESS}:443"], PROXY | TRUST),
        (["https://[2001:db8::7]"], PROXY | TRUST),
        ([f"{ADDRESS}:8443", "own-proxy"], TRUST),
        (["http://[::1]:8000"], {}),
        (["http://dockmgr.example.com", "own-proxy"], TRUST),
    ],
)
def test_the_address_stays_what_people_type_whoever_speaks_tls(
    tmp_path: Path, words: list[str], follows: dict[str, str]
) -> None:
    """All but the slash at its end, which browsers copy."""
    address, *rest = words
    assert prepare(tmp_path, f"{address}/", *rest).returncode == 0
    found = written(tmp_path)
    assert found["DOCKMGR_PUBLIC_URL"] == address
    assert {name: found[name] for name in PROXY | TRUST if name in found} == follows


@pytest.mark.parametrize(
    "words",
    [
        ["dockmgr.example.com"],
        [ADDRESS, "no-proxy"],
        *([f"{ADDRESS}{rest}"] for rest in ("/desk", "//", "?a=b", "#top", " b", "$HOME", "'")),
        ["https:///"],
        [f"{ADDRESS}:8443"],
        ["https://[2001:db8::7]:8443"],
    ],
)
def test_what_is_not_understood_is_refused_and_makes_nothing(tmp_path: Path, words: list[str]) -> None:
    done = prepare(tmp_path, *words)
    assert done.returncode == 1 and done.stderr.startswith("prepare: ") and done.stderr.count("\n") == 1
    assert not (tmp_path / ".env").exists()


def test_workers_get_the_socket_that_is_named_with_the_group_of_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "socket").touch()
    if os.getuid() == 0:
        os.chown(tmp_path / "socket", -1, 12345)
    (tmp_path / "link").symlink_to("socket")
    assert prepare(tmp_path, DOCKER_SOCKET=str(tmp_path / "link")).returncode == 0
    found = written(tmp_path)
    group = (tmp_path / "socket").stat().st_gid
    assert (found["DOCKER_SOCKET"], found["DOCKER_GID"]) == (str(tmp_path / "link"), str(group))
    services = yaml.safe_load((TOP / "docker-compose.yml").read_text())["services"]
    mount = "${DOCKER_SOCKET:-/var/run/docker.sock}:/var/run/docker.sock"
    assert {name for name, service in services.items() if mount in service.get("volumes", [])} == WORKERS


def test_what_was_broken_off_is_made_anew_and_whole(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir(0o700)
    (tmp_path / "secrets" / ".new").touch(0o444)
    words = ["sh", "-c", 'ulimit -f 0 && exec "$0" "$1"', str(tmp_path / "deploy" / "prepare.sh"), ADDRESS]
    assert prepare(tmp_path, "dockmgr.example.com").returncode == 1
    environ = {"PATH": os.environ["PATH"], "DOCKER_SOCKET": str(tmp_path)}
    assert subprocess.run(words, env=environ, capture_output=True, check=False).returncode != 0
    assert not (tmp_path / ".env").exists()

    shutil.rmtree(tmp_path / "deploy")
    assert prepare(tmp_path, ADDRESS).returncode == 0
    assert written(tmp_path)["DOCKMGR_PUBLIC_URL"] == ADDRESS


def with_engine(folder: Path, known: dict[str, Path]) -> dict[str, str]:
    """Where `docker ps` tells of installations, by name; the environment that finds it."""
    programs = folder / "programs"
    programs.mkdir()
    answers = "".join(
        f"*project={name}\\ *) echo '{place}'; echo '{place}' ;; " for name, place in known.items()
    )
    (programs / "docker").write_text(f'#!/bin/sh\ncase "$*" in {answers} esac\n')
    (programs / "docker").chmod(0o755)
    return {"PATH": f"{programs}:{os.environ['PATH']}"}


def test_a_second_folder_does_not_take_over_the_installation_of_the_first(tmp_path: Path) -> None:
    first = tmp_path / "first"
    environ = with_engine(tmp_path, {"dockmgr": first})
    done = prepare(tmp_path, ADDRESS, **environ)
    assert done.returncode == 1 and str(first) in done.stderr and done.stderr.count("\n") == 1
    assert not (tmp_path / ".env").exists() and not (tmp_path / "secrets").exists()

    shutil.rmtree(tmp_path / "deploy")
    done = prepare(tmp_path, ADDRESS, **environ, COMPOSE_PROJECT_NAME="staging")
    assert (done.returncode, done.stderr) == (0, "")
    assert written(tmp_path)["COMPOSE_PROJECT_NAME"] == "staging"


def test_who_prepares_where_it_runs_already_is_not_refused(tmp_path: Path) -> None:
    assert prepare(tmp_path, ADDRESS, **with_engine(tmp_path, {"dockmgr": tmp_path})).returncode == 0
    assert "COMPOSE_PROJECT_NAME" not in written(tmp_path)
