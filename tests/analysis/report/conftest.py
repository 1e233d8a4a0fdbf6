"""Reports opened in a real Chromium."""

import pytest


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


@pytest.fixture(scope="module")
def opened(chromium):
    """Opens a report; keyword arguments are those of playwright's `new_context`."""
    pages = []

    def open_report(path, **context):
        pages.append(Opened(chromium, path, **context))
        return pages[-1]

    yield open_report
    for page in pages:
        page.context.close()
