"""`make demo`: three customers on real containers, two of them broken and healed; nothing is left behind.

This process owns what the demo needs and removes it again: engine, broker, folder, worker and beat. The
story itself is told by `dev.demo_story`, in a process that knows the database. With `KEEP=1` in
the environment all of it stays, with the admin served, until Ctrl-C.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from dev import demo_image, interruption
from dev.demo_leftovers import remove_from_broker, remove_from_engine
from dev.narration import Narrator
from dev.servers import EngineServer, ServerFailed, ServerMissing, broker, docker_engine, free_port
from dev.servers.process import ServerProcess

TOP = Path(__file__).resolve().parents[1]
CUSTOMERS = ("ada", "bob", "cyn")
DEADLINE = 180  # seconds for the story, which keeps to it; a little later it is ended from here
GRACE = 20
STOP_TIMEOUT = 3  # seconds; what a worker still does here is about to be removed anyway
QUICK = {
    "DOCKMGR_SWEEP_INTERVAL": "15",
    "DOCKMGR_RECHECK_INTERVAL": "1",
    "DOCKMGR_RESTART_BACKOFF": "2",
    "DOCKMGR_PROBE_TIMEOUT": "2",
    "DOCKMGR_LOG_LEVEL": "INFO",
    "DOCKMGR_ORPHANS_INTERVAL": "0",  # what others left on the engine is no part of the story
    "DOCKMGR_WORKER_THREADS": "8",
}


@dataclass(frozen=True)
class Run:
    """What is this run's alone: its names keep it apart from everything else on the engine and the broker."""

    name: str
    folder: Path
    narrator: Narrator

    @property
    def customers(self) -> list[str]:
        return [f"{self.name}-{customer}" for customer in CUSTOMERS]

    @property
    def image(self) -> str:
        return f"dockmgr-demo:{self.name}"

    @property
    def broker_prefix(self) -> str:
        return f"{self.name}:"


def main() -> int:
    """Exit code: 0 when everything was healed, 1 when not, 130 when interrupted."""
    interruption.raise_once()
    try:
        return demonstrate(keep=os.environ.get("KEEP", "") not in ("", "0"))
    except KeyboardInterrupt:
        print("Interrupted; what the demo made was removed.", file=sys.stderr)
        return 130
    except (ServerMissing, ServerFailed) as error:
        print(error, file=sys.stderr)
        return 1


def demonstrate(*, keep: bool) -> int:
    narrator = Narrator(time.time())
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dockmgr-demo-")))
        run = Run(f"demo-{secrets.token_hex(2)}", folder, narrator)
        narrator.heading("Setting up")
        engine = stack.enter_context(docker_engine(folder, os.environ, use_found=True))
        narrator.line("engine", "ready", _which_engine(engine))
        broker_url = stack.enter_context(broker(folder, os.environ))
        named = os.environ.get("DOCKMGR_BROKER_URL")
        narrator.line("broker", "ready", "named by DOCKMGR_BROKER_URL" if named else "a private Redis")
        environ = environment(run, os.environ, engine.url, broker_url)
        os.environ.clear()
        os.environ.update(environ)
        stack.enter_context(_leaving_nothing(run, engine.url, broker_url))
        return _perform(run, engine.url, keep=keep)


def environment(run: Run, outer: Mapping[str, str], engine_url: str, broker_url: str) -> dict[str, str]:
    """The environment of the demo's own processes: nothing of an installation that is set up here."""
    ours = ("DOCKMGR_", "DATABASE_URL", "DJANGO_")
    home = run.folder / "home"
    return {
        **{name: value for name, value in outer.items() if not name.startswith(ours)},
        **QUICK,
        "DOCKER_HOST": engine_url,
        "DOCKMGR_BROKER_URL": broker_url,
        "DOCKMGR_BROKER_PREFIX": run.broker_prefix,
        "DOCKMGR_HOME": str(home),
        "DOCKMGR_STATE_FILE": str(home / "state.json"),
        "PYTHONPATH": str(TOP),
        "PYTHONUNBUFFERED": "1",
    }


@contextmanager
def _leaving_nothing(run: Run, engine_url: str, broker_url: str) -> Iterator[None]:
    try:
        yield
    finally:
        interruption.ignore()
        with ExitStack() as both:
            removed: list[str] = []
            both.callback(lambda: run.narrator.line("demo", "removed", counted(removed)))
            both.callback(lambda: removed.extend(remove_from_broker(broker_url, run.broker_prefix)))
            both.callback(lambda: removed.extend(_removed_from_engine(run, engine_url)))


def _removed_from_engine(run: Run, url: str) -> list[str]:
    return remove_from_engine(url, run.customers, run.image, run.name)


def counted(words: Sequence[str]) -> str:
    """`["image", "key", "key"]` as "1 image, 2 keys"."""
    counts = Counter(words).items()
    return ", ".join(f"{number} {word}{'s' if number > 1 else ''}" for word, number in counts) or "nothing"


def _which_engine(engine: EngineServer) -> str:
    if engine.private:
        return "a private one, started for this demo"
    return "named by DOCKER_HOST" if os.environ.get("DOCKER_HOST") else f"found at {engine.url}"


def _perform(run: Run, engine_url: str, *, keep: bool) -> int:
    with ExitStack() as stack:
        run_manage("migrate", "--verbosity", "0")
        run.narrator.line("database", "ready", "an SQLite file, migrated")
        worker = stack.enter_context(_process(run, "worker", "celery", *_worker(run)))
        beat = stack.enter_context(_process(run, "beat", "celery", *_celery("beat", "--pidfile=")))
        image_id = demo_image.build(engine_url, run.image)
        run.narrator.line("image", "built", f"{run.image} ({image_id.removeprefix('sha256:')[:12]})")
        worker.wait_until(lambda: " ready." in worker.output())
        beat.wait_until(lambda: "maxinterval" in beat.output())
        run.narrator.line("worker", "ready", "one Celery worker for all queues, and beat")
        code = _tell_story(run, worker)
        if keep:
            _serve_admin(run, stack)
        return code


def run_manage(*words: str, **environ: str) -> None:
    """Run a manage.py command to its end; `ServerFailed` with its last line when it fails."""
    done = subprocess.run(  # noqa: S603 our own command line
        [sys.executable, "manage.py", *words],
        cwd=TOP, env={**os.environ, **environ}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise ServerFailed("\n".join([f"manage.py {words[0]} failed.", *last]))


def _celery(*words: str) -> list[str]:
    return ["--workdir", str(TOP), "-A", "dockmgr", *words]


def _worker(run: Run) -> list[str]:
    return _celery("worker", "--hostname", f"{run.name}@%h", "--without-gossip", "--without-mingle")


@contextmanager
def _process(run: Run, name: str, module: str, *words: str) -> Iterator[ServerProcess]:
    command = [sys.executable, "-m", module, *words]
    process = ServerProcess(f"The demo's {name}", command, run.folder / f"{name}.log")
    try:
        yield process
    finally:
        process.stop(STOP_TIMEOUT)


def _tell_story(run: Run, worker: ServerProcess) -> int:
    """The story's exit code. It fails early when the worker ends."""
    fleet = run.folder / "fleet.yaml"
    fleet.write_text(_fleet_file(run))
    words = [str(run.narrator.began), str(DEADLINE), str(fleet), *run.customers]
    with subprocess.Popen(  # noqa: S603 our own command line
        [sys.executable, "-m", "dev.tell_demo", *words],
        cwd=TOP, stdin=subprocess.DEVNULL, start_new_session=True,
    ) as story:  # fmt: skip
        try:
            worker.wait_until(lambda: story.poll() is not None, DEADLINE + GRACE)
        finally:
            story.kill()
    return story.returncode


def _fleet_file(run: Run) -> str:
    return f"""\
hosts:
  - name: local
    network: {run.name}
plans:
  - name: demo
    image: {run.image}
    cpus: 0.25
    memory: 32m
    pids: 64
    start_grace: {GRACE}
    stop_timeout: 5
"""


def _serve_admin(run: Run, stack: ExitStack) -> None:
    """Serve the admin until Ctrl-C."""
    password, port = secrets.token_urlsafe(12), free_port()
    run_manage(
        "createsuperuser", "--noinput", "--username", "admin", "--email", "",
        DJANGO_SUPERUSER_PASSWORD=password,
    )  # fmt: skip
    words = ["--chdir", str(TOP), "--bind", f"127.0.0.1:{port}", "--threads", "4", "--no-control-socket"]
    web = stack.enter_context(_process(run, "web", "gunicorn", *words, "dockmgr.wsgi"))
    web.wait_until(lambda: "Listening at" in web.output())
    run.narrator.heading("Kept, with the clock running, until Ctrl-C")
    run.narrator.line("admin", "serves", f"http://127.0.0.1:{port}/admin/ (user admin, password {password})")
    run.narrator.line("engine", "kept", f"DOCKER_HOST={os.environ['DOCKER_HOST']}")
    run.narrator.line("home", "kept", f"DOCKMGR_HOME={os.environ['DOCKMGR_HOME']}")
    with suppress(KeyboardInterrupt):
        interruption.wait_for_one()


if __name__ == "__main__":
    sys.exit(main())
