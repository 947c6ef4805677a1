"""Every command works where no caller has begun a transaction, on an instance that is down."""

from __future__ import annotations

from pathlib import Path

import pytest

from instances.management import commands
from instances.models import ApiToken, Channel, Incident, Instance
from tests.factories import IMAGE, World, health_of
from tests.fakes.outside import fails
from tests.fast.conftest import Run
from tests.fast.updates import publish
from tests.rows import row

pytestmark = pytest.mark.django_db(transaction=True)
C1 = ("--customer-id", "c1")
NEW = ("--customer-id", "new", "--subdomain", "new.example.com", "--plan", "pro")
FOLDER = Path(str(commands.__file__)).parent
# Each with the exit code that is right while c1 does not answer.
COMMANDS: list[tuple[int, tuple[str, ...]]] = [
    (2, ("accept_engine", "--host", "mars")),
    (0, ("ack",)),
    (2, ("adopt", *C1, "--subdomain", "two.example.com", "--container", "none")),
    (0, ("apply",)),
    (1, ("check_health", "--all")),
    (0, ("create_token", "billing", "--scope", "read")),
    (1, ("daily_health",)),
    (0, ("decommission", *C1)),
    (0, ("incidents",)),
    (0, ("instances",)),
    (0, ("logs", *C1)),
    (0, ("mute", *C1, "--for", "1h")),
    (0, ("operations",)),
    (0, ("orphans",)),
    (0, ("pause", *C1)),
    (0, ("provision", *NEW)),
    (1, ("restart", *C1)),
    (0, ("resume", *C1)),
    (0, ("revoke_token", "shop")),
    (0, ("rotate_keys",)),
    (0, ("backup",)),
    (2, ("unlock", "nobody")),
    (1, ("test_channel", "ops")),
    (0, ("test_deploy", "--plan", "pro")),
    (2, ("test_registry", "nowhere")),
    (0, ("tokens",)),
    (0, ("unmute", *C1)),
    (0, ("update", *C1)),
    (0, ("uptime", *C1)),
    (0, ("usage", *C1)),
    (1, ("validate", *C1)),
    (1, ("validate_host", "local")),
]


@pytest.fixture
def down(world: World) -> Instance:
    """An instance that answers 503 and has been given up, with its incident open."""
    well = world.instance("well")
    instance = world.instance(status="failed", failures=6, restarts_used=3, down_since=world.now)
    world.incident(instance, "critical")
    world.probe.answers[instance.port or 0] = fails()
    publish(world, "agent-1")
    Channel.objects.create(name="ops", url="json://127.0.0.1:9/")
    ApiToken.objects.create(
        name="shop", scope="read", prefix="x", digest="x", created_by="tests", created_at=world.now
    )
    assert health_of(well).status == "healthy"
    return instance


def test_no_command_is_forgotten() -> None:
    known = {path.stem for path in FOLDER.glob("*.py")} - {"__init__", "migrate"}
    assert known == {words[0] for _, words in COMMANDS}


TOUCHING = {"decommission", "pause", "resume", "restart", "update", "daily_health"}


def ends_as_it_should(run: Run, folder: Path, code: int, words: tuple[str, ...]) -> None:
    if words[0] == "apply":
        file = folder / "fleet.yaml"
        file.write_text(f"hosts: [{{name: local}}]\nplans: [{{name: pro, image: {IMAGE}}}]\n")
        words = (*words, str(file))
    if words[0] == "backup":
        words = ("backup", str(folder / "backup.sqlite3"))
    if words[0] == "ack":
        words = ("ack", "--incident-id", str(Incident.objects.get(instance__customer_id="c1").pk))
    with row(*words):
        ran = run(*words, "--json")
        assert (ran.code, "database" in ran.err) == (code, False), ran.out + ran.err


@pytest.mark.usefixtures("down")
def test_what_does_not_touch_who_is_down_ends_as_it_should(run: Run, tmp_path: Path) -> None:
    for code, words in COMMANDS:
        if words[0] not in TOUCHING:
            ends_as_it_should(run, tmp_path, code, words)


@pytest.mark.usefixtures("down")
@pytest.mark.parametrize(
    ("code", "words"), [pytest.param(*each, id=each[1][0]) for each in COMMANDS if each[1][0] in TOUCHING]
)
def test_what_touches_it_ends_as_it_should(
    run: Run, tmp_path: Path, code: int, words: tuple[str, ...]
) -> None:
    ends_as_it_should(run, tmp_path, code, words)


def test_pausing_what_is_down_ends_its_incident_with_it(down: Instance, run: Run) -> None:
    assert run("pause", *C1).code == 0
    assert health_of(down).status == "paused"
    assert Incident.objects.get(instance=down).resolution == "paused"


def test_a_pause_whose_incident_cannot_be_ended_does_not_happen(
    down: Instance, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("instances.incidents.writer.IncidentWriter.save", lambda _: 1 / 0)
    assert run("pause", *C1).code == 1
    assert health_of(down).status == "failed"
    assert not Incident.objects.get(instance=down).resolved_at
