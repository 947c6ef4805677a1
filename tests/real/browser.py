"""Chromium without a window, with ears for what goes wrong on a page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from dev.servers.packages import require
from tests.desk import PASSWORD
from tests.real.live import wait_until

AXE = Path(__file__).parents[1] / "vendor" / "axe.min.js"
LEVELS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
RUN_AXE = """
const done = arguments[1];
axe.run(document, {runOnly: arguments[0]}).then((result) => done(
  result.violations.map((one) => `${one.id}: ${one.nodes.map((node) => node.html.slice(0, 160)).join(" | ")}`)
));
"""
NETWORK_CHANGED = "net::ERR_NETWORK_CHANGED"
PATIENCE = 5  # loads of a page
FLAGS = ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--no-first-run")
DESKTOP, PHONE = (1280, 900), (390, 844)


class Browser:
    """One window on one site. `trouble` collects what the console says and which strangers are asked."""

    def __init__(self, driver: webdriver.Chrome, site: str) -> None:
        self.driver, self.site = driver, site
        self._said: list[str] = []

    def open(self, path: str) -> None:
        """Go to a page; again where the machine's networks changed, which makes browsers drop connections."""
        for _ in range(PATIENCE):
            self.driver.get(f"{self.site}{path}")
            self._said += self._log()
            if not any(NETWORK_CHANGED in line for line in self._said):
                return
            self._said = [line for line in self._said if NETWORK_CHANGED not in line]

    def log_in(self, role: str) -> None:
        """Sign in as somebody else; what the page before still asked in vain is none of theirs."""
        self.driver.delete_all_cookies()
        self.open("/admin/login/?next=/admin/")
        self.trouble()
        self.find("[name=username]").send_keys(role)
        self.find("[name=password]").send_keys(PASSWORD)
        self.find("#login-form [type=submit]").click()
        self.until(lambda: "/login/" not in self.driver.current_url and self.has("[data-fresh], .desk-note"))

    def find(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def text(self, selector: str = "#content") -> str:
        """What a part of the page says now, nothing if it is not there; parts are replaced while we look."""
        script = "const part = document.querySelector(arguments[0]); return part ? part.innerText : '';"
        return str(self.driver.execute_script(script, selector))

    def has(self, selector: str) -> bool:
        return bool(self.driver.find_elements(By.CSS_SELECTOR, selector))

    def until(self, true: Any, seconds: float = 20) -> None:
        wait_until(true, seconds)

    def until_says(self, words: str, selector: str = "#content", seconds: float = 20) -> None:
        self.until(lambda: words in self.text(selector), seconds)

    def press(self, selector: str) -> None:
        """Click in the middle of the window, where nothing that sticks to its edges is in the way."""
        button = self.find(selector)
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", button)
        button.click()

    def dialog(self, name: str, **fields: str) -> None:
        """Open a dialog, fill it in and send it."""
        self.press(f"[data-opens=dialog-{name}]")
        form = self.find(f"#dialog-{name} form")
        for field, value in fields.items():
            form.find_element(By.NAME, field).send_keys(value)
        form.find_element(By.CSS_SELECTOR, "[type=submit]").click()

    def theme(self, name: str) -> None:
        self.driver.execute_script(f"localStorage.setItem('adminTheme', '\"{name}\"')")

    def size(self, width: int, height: int) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def width(self) -> int:
        return int(self.driver.execute_script("return document.documentElement.scrollWidth"))

    def barriers(self) -> list[str]:
        """What axe-core finds of levels A and AA on the page as it is."""
        # The page's own policy does not bind the debugger.
        self.driver.execute_cdp_cmd("Runtime.evaluate", {"expression": f"{AXE.read_text()};0"})
        return list(self.driver.execute_async_script(RUN_AXE, {"type": "tag", "values": LEVELS}))

    def pwned(self) -> bool:
        return bool(self.driver.execute_script("return Boolean(window.pwned)"))

    def _log(self) -> list[str]:
        entries = self.driver.get_log("browser")  # type: ignore[no-untyped-call]
        return [entry["message"] for entry in entries if entry["level"] == "SEVERE"]

    def trouble(self) -> list[str]:
        """Errors on the console, and requests to anybody else, since this was asked last."""
        said, self._said = self._said + self._log(), []
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]  # type: ignore[no-untyped-call]
        asked = [
            str(event["params"]["request"]["url"])
            for event in events
            if event["method"] == "Network.requestWillBeSent"
        ]
        own = (self.site, "data:", "blob:", "chrome:")
        return said + [f"asked {url}" for url in asked if not url.startswith(own)]


@contextmanager
def browser(site: str, downloads: Path) -> Iterator[Browser]:
    """A browser of its own, ended whatever happens."""
    options = webdriver.ChromeOptions()
    options.binary_location = require("chromium", "chromium", "Chromium")
    for flag in FLAGS:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    service = Service(require("chromedriver", "chromium-driver", "ChromeDriver"))
    driver = webdriver.Chrome(options=options, service=service)
    try:
        found = Browser(driver, site)
        found.size(*DESKTOP)
        yield found
    finally:
        driver.quit()
