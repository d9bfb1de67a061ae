"""A real browser without a screen, from Debian's packages chromium and chromium-driver, that can look nothing up."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from selenium.webdriver import Chrome, ChromeOptions, ChromeService

ARGUMENTS = (
    *("headless=new", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking"),
    *("disable-component-update", "disable-sync", "disable-dev-shm-usage", "window-size=1400,900"),
    "host-resolver-rules=MAP * ~NOTFOUND",
)


@contextmanager
def opened(page: Path, profile: Path) -> Iterator[Chrome]:
    """Open a file in Chromium with a new, empty `profile`; the test is skipped where there is none, unless CI is set."""
    programs = [shutil.which(name) for name in ("chromium", "chromedriver")]
    if None in programs:
        assert not os.environ.get("CI"), "needs Debian's packages chromium and chromium-driver"
        pytest.skip("needs Debian's packages chromium and chromium-driver")
    options = ChromeOptions()
    options.binary_location, driver = map(str, programs)
    for argument in (*ARGUMENTS, f"user-data-dir={profile}"):
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = Chrome(options=options, service=ChromeService(driver))
    try:
        browser.get("about:blank")
        browser.get_log("performance")  # the new tab's own requests
        browser.get(page.as_uri())
        yield browser
    finally:
        browser.quit()


def complaints(browser: Chrome) -> list[str]:
    """Return the errors on the console; the libraries that Snakemake's report contains give warnings there, about themselves."""
    return [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]


def requests(browser: Chrome) -> list[str]:
    """Return the addresses that were asked for since the page was opened."""
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return [message["params"]["request"]["url"] for message in messages if message["method"] == "Network.requestWillBeSent"]
