"""A real Chromium, without a window, for the tests of the report."""

import os
import shutil

import pytest
from playwright.sync_api import sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="session")
def chromium():
    """Chromium of the system. Without one the tests are skipped, or fail where BROWSER_TESTS=required."""
    path = next((found for name in NAMES if (found := shutil.which(name))), None)
    if path is None:
        message = f"no browser on the PATH ({', '.join(NAMES)}); Debian's package is chromium"
        if os.environ.get("BROWSER_TESTS") == "required":
            pytest.fail(message)
        pytest.skip(message)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path)
        yield browser
        browser.close()


class Opened:
    """A page with all that it said and asked for."""

    def __init__(self, browser, path, **context):
        self.context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}} | context)
        self.page = self.context.new_page()
        self.errors = []
        self.requests = []
        self.page.on("console", lambda said: self.errors.append(said.text) if said.type == "error" else None)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.url = path.as_uri()
        self.page.goto(self.url)
        self.page.wait_for_selector("body[data-ready]", timeout=60_000)


@pytest.fixture(scope="session")
def opened(chromium):
    """Opens a report; keyword arguments are those of playwright's `new_context`."""
    pages = []

    def open_report(path, **context):
        pages.append(Opened(chromium, path, **context))
        return pages[-1]

    yield open_report
    for page in pages:
        page.context.close()
