"""A day at the desk in a real browser: trouble found, logs read, a restart watched, each in his role."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from dev.demo_image import build
from dev.servers.ports import free_port
from tests.desk import EVIL, PASSWORD
from tests.real.browser import DESKTOP, PHONE, Browser, browser
from tests.real.fleet import Fleet, a_fleet, end
from tests.real.live import docker_client, is_up, wait_until

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # selenium's sockets
INSTANCES = "/admin/instances/instance/"
PEOPLE = """
from contextlib import suppress
from django.core.management import call_command
from instances.access import tokens
from instances.db.clock import SYSTEM
from instances.incidents.rules import FLEET
from instances.incidents.lifecycle import Alarm, open_incident
from instances.models import Channel, Health, Operation
from tests.desk import EVIL, person
for role in ("viewer", "operator", "admin"):
    person(role)
for _ in range(3):
    with suppress(SystemExit):
        call_command("check_health", "--all", "--json")
now = SYSTEM.now()
tokens.issue("billing", "read", "tests", now)
Channel.objects.create(name="ops", url="json://127.0.0.1:9/hook")
Health.objects.filter(instance__customer_id__endswith="-well").update(version=EVIL[:64])
Operation.objects.create(
    kind="restart", customer_id="gone", status="failed", requested_by="x", reason=EVIL, error=EVIL,
    steps=[{"name": "wait", "status": "failed", "detail": EVIL}],
    created_at=now, finished_at=now, lease_expires_at=now,
)
open_incident(Alarm(FLEET, FLEET, "test", EVIL), now)
"""
LISTS = (
    "instance", "incident", "operation", "host", "plan", "channel", "mute", "notification", "apitoken",
    "auditentry",
)  # fmt: skip
MAIN_PAGES = (
    "/admin/",
    *(f"/admin/instances/{name}/" for name in LISTS),
    *(f"/admin/instances/{name}/1/change/" for name in ("incident", "host", "plan", "channel", "apitoken")),
    "/admin/instances/apitoken/add/",
    "/admin/django_celery_beat/periodictask/",
    "/admin/auth/user/1/change/",
)


CUT_OFF = """
return [...document.querySelectorAll("#result_list tbody td")]
  .filter((cell) => cell.scrollHeight > cell.clientHeight + 2)
  .map((cell) => `cut off: ${cell.textContent.trim().slice(0, 60)}`);
"""


@dataclass
class Scene:
    """A fleet with a worker and a web process, and the browser that looks at it."""

    fleet: Fleet
    browser: Browser
    downloads: Path
    next_image: str

    def key(self, name: str) -> int:
        query = f"SELECT id FROM instances_instance WHERE customer_id = '{self.fleet.customer(name)}'"
        return int(self.fleet.sql(query)[0][0])

    def message_page(self) -> str:
        """The page of a message that waits for a channel."""
        wait_until(lambda: bool(self.fleet.sql("SELECT id FROM instances_notification")))
        identity = uuid.UUID(self.fleet.sql("SELECT id FROM instances_notification LIMIT 1")[0][0])
        return f"/admin/instances/notification/{identity}/change/"

    def page(self, name: str) -> str:
        return f"{INSTANCES}{self.key(name)}/change/"


@pytest.fixture(scope="module")
def next_image(docker_url: str) -> Iterator[str]:
    tag = f"dockmgr-test-{uuid.uuid4().hex[:8]}:2.0.0"
    build(docker_url, tag, version="2.0.0")
    yield tag
    with docker_client(docker_url) as client:
        client.images.remove(tag, force=True)


@pytest.fixture(scope="module")
def scene(
    tmp_path_factory: pytest.TempPathFactory,
    docker_url: str,
    broker_url: str,
    demo_image: str,
    next_image: str,
) -> Iterator[Scene]:
    folder, port = tmp_path_factory.mktemp("desk"), free_port()
    with a_fleet(folder / "home", docker_url, broker_url, demo_image, start_grace=3) as fleet:
        fleet.provision_all("sick", "well")
        fleet.inside("sick", f"cat > /proc/1/fd/1 <<'END'\n{EVIL}\nthe disk is full\nEND")
        fleet.switch("sick", "503")
        done = fleet.run("shell", "-c", PEOPLE)
        assert done.returncode == 0, done.stderr
        web = fleet.start(
            "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "--threads", "4", "--no-control-socket",
            "dockmgr.wsgi", log=folder / "web.log",
        )  # fmt: skip
        try:
            with fleet.worker(), browser(f"http://127.0.0.1:{port}", folder) as window:
                wait_until(lambda: is_up(port))
                yield Scene(fleet, window, folder, next_image)
        finally:
            end(web)


def test_the_incident_of_an_instance_is_acknowledged(scene: Scene) -> None:
    window = scene.browser
    window.log_in("operator")
    window.open(scene.page("sick"))
    window.find("#content [href^='/admin/instances/incident/'][href$='/change/']").click()
    window.until_says(scene.fleet.customer("sick"))
    window.dialog("acknowledge", reason="looking into it")
    window.until_says("by admin:operator")
    query = "SELECT acknowledged_by FROM instances_incident WHERE customer_id = '{}'"
    assert scene.fleet.sql(query.format(scene.fleet.customer("sick"))) == [("admin:operator",)]
    assert window.trouble() == []


def test_an_operator_finds_the_sick_one_reads_its_log_and_restarts_it(scene: Scene) -> None:
    window, sick = scene.browser, scene.fleet.customer("sick")
    window.log_in("operator")
    window.until_says("unhealthy 1", ".desk-legend")
    window.open(f"{INSTANCES}?status=bad")
    window.find("#result_list tbody a").click()
    window.until_says("HTTP 503")
    window.until_says("running", "#facts")
    assert window.text("#facts").lower().count("restart policy") == 1
    window.find("[data-log-form] [type=submit]").click()
    window.until_says(EVIL, "[data-log-lines]")
    window.find("[data-log-form] [name=search]").send_keys("DISK IS")
    window.until_says("the disk is full", "[data-log-lines]")
    assert EVIL not in window.text("[data-log-lines]")
    window.find("[data-log-download]").click()
    wait_until(lambda: (scene.downloads / f"{sick}.log").exists())
    assert "the disk is full" in (scene.downloads / f"{sick}.log").read_text()
    window.dialog("restart", reason="it answers 503")
    window.until_says(f"The restart of {sick} is queued.", "body")
    window.until_says("succeeded restart by admin:operator", seconds=40)
    window.until_says("healthy")
    assert not window.pwned() and window.trouble() == []


def test_the_keyboard_comes_to_the_buttons_of_a_page_without_the_menu(scene: Scene) -> None:
    window = scene.browser
    window.log_in("operator")
    window.open(scene.page("well"))
    keys = ActionChains(window.driver)
    keys.send_keys(Keys.TAB, Keys.ENTER, Keys.TAB, Keys.ENTER).perform()
    window.until(lambda: window.has("#dialog-check[open]"))
    ActionChains(window.driver).send_keys(Keys.ESCAPE).perform()
    window.until(lambda: not window.has("dialog[open]"))
    assert window.trouble() == []


def test_a_log_is_followed_while_it_grows(scene: Scene) -> None:
    window = scene.browser
    window.log_in("operator")
    window.open(scene.page("well"))
    window.find("[data-log-form] [name=follow]").click()
    window.until_says("Following.", "[data-log-state]")
    scene.fleet.inside("well", "cat > /proc/1/fd/1 <<'END'\nsomething new happened\nEND")
    window.until_says("something new happened", "[data-log-lines]")
    lines = window.text("[data-log-lines]").splitlines()
    assert lines.count("something new happened") == 1
    assert window.trouble() == []


def test_a_log_is_painted_in_the_colours_it_was_written_in(scene: Scene) -> None:
    window = scene.browser
    window.log_in("operator")
    scene.fleet.inside("well", "printf '\\033[31mred alert\\033[0m is over\\n' > /proc/1/fd/1")
    window.open(scene.page("well"))
    window.find("[data-log-form] [type=submit]").click()
    window.until_says("red alert is over", "[data-log-lines]")
    assert window.text("[data-log-lines] .log-1") == "red alert"
    assert window.trouble() == []


@pytest.mark.thorough
def test_a_part_somebody_works_in_is_left_alone_and_the_page_says_so(scene: Scene) -> None:
    window = scene.browser
    window.log_in("operator")
    window.open(scene.page("well"))
    window.until_says("This page refreshes itself; last at", "[data-fresh]")
    window.driver.execute_script(
        "document.querySelector('[data-part=health] a, .desk-operation summary').focus()"
    )
    window.until_says("Paused while you work there:", "[data-fresh]")
    window.driver.execute_script("document.activeElement.blur()")
    window.until(lambda: "Paused" not in window.text("[data-fresh]"))
    assert window.trouble() == []


def test_a_session_that_ended_leads_back_with_what_was_typed(scene: Scene) -> None:
    window = scene.browser
    window.log_in("operator")
    window.open(scene.page("well"))
    window.driver.delete_cookie("sessionid")
    window.dialog("pause", reason="holidays of the customer")
    window.until_says("You were signed out, so nothing was done.", "body")
    window.find("[name=username]").send_keys("operator")
    window.find("[name=password]").send_keys(PASSWORD)
    window.find("#login-form [type=submit]").click()
    window.until_says("Send it once more.", "body")
    assert window.find("#pause_reason").get_attribute("value") == "holidays of the customer"
    window.trouble()


def test_an_administrator_changes_a_plan_and_updates_its_instances(scene: Scene) -> None:
    window, fleet = scene.browser, scene.fleet
    window.log_in("admin")
    plan = fleet.sql("SELECT id FROM instances_plan WHERE name = 'pro'")[0][0]
    window.open(f"/admin/instances/plan/{plan}/change/")
    image = window.find("[name=image]")
    image.clear()
    image.send_keys(scene.next_image)
    window.find("[name=_continue]").click()
    window.until_says("2 instances run as the plan was before", "body")
    window.dialog("update", reason="version 2")
    window.until_says("It is over", seconds=90)
    assert window.text().count("succeeded") == 2
    assert {fleet.container(name).image.tags[0] for name in ("sick", "well")} == {scene.next_image}
    assert window.trouble() == []


@pytest.mark.thorough
def test_a_selection_is_checked_and_reported(scene: Scene) -> None:
    window = scene.browser
    window.log_in("operator")
    window.open(INSTANCES)
    for box in window.driver.find_elements("css selector", "#result_list tbody .action-select"):
        box.click()
    window.press("[name=action] [value=check_selected]")
    window.until(lambda: window.find("[name=index]").is_displayed())
    window.press("[name=index]")
    window.until_says("Check 2 instances?", "body")
    window.find(".desk-form [type=submit]").click()
    window.until(lambda: window.text().count("checked") >= 3)
    assert window.trouble() == []


def test_an_administrator_revokes_a_token(scene: Scene) -> None:
    window = scene.browser
    window.log_in("admin")
    window.open("/admin/instances/apitoken/1/change/")
    window.dialog("revoke", reason="leaked")
    window.until_says("Token billing is revoked.", "body")
    assert not window.has("[data-opens=dialog-revoke]")
    assert window.trouble() == []


def test_a_host_that_answers_is_told_so(scene: Scene) -> None:
    window = scene.browser
    window.log_in("operator")
    window.open("/admin/instances/host/1/change/")
    window.find("[data-ask]").click()
    window.until(lambda: "architecture" in window.text("#host-test").lower())
    assert "yes" in window.text("#host-test")
    assert window.trouble() == []


def test_a_viewer_looks_and_has_nothing_to_press(scene: Scene) -> None:
    window = scene.browser
    window.log_in("viewer")
    window.open(scene.page("well"))
    assert scene.fleet.customer("well") in window.text("body")
    assert not window.has("[data-opens]") and not window.has("[data-logs]")
    window.open("/admin/instances/apitoken/")
    assert "403" in window.text("body")
    window.trouble()  # a refused page is told on the console too


@pytest.mark.parametrize(
    ("theme", "size"), [("light", DESKTOP), pytest.param("dark", PHONE, marks=pytest.mark.thorough)]
)
def test_no_page_has_a_barrier_runs_a_strangers_script_or_asks_anybody_else(
    scene: Scene, theme: str, size: tuple[int, int]
) -> None:
    window = scene.browser
    window.log_in("admin")
    window.theme(theme)
    window.size(*size)
    try:
        pages = (*MAIN_PAGES, scene.page("sick"), scene.message_page())
        found = {page: _wrong(window, page, size[0]) for page in pages}
    finally:
        window.size(*DESKTOP)
    assert {page: wrong for page, wrong in found.items() if wrong} == {}


def _wrong(window: Browser, page: str, width: int) -> list[str]:
    window.open(page)
    pwned = ["a stranger's script ran"] if window.pwned() else []
    wide = [f"{window.width()} wide"] if window.width() > width else []
    return [*window.barriers(), *window.trouble(), *pwned, *wide, *window.driver.execute_script(CUT_OFF)]
