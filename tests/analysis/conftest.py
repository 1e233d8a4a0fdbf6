"""A real Chromium, without a window, for the tests of pages."""

import os
import shutil

import pytest
from playwright.sync_api import sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


# Of a module: playwright's event loop must not run on under the tests of others.
@pytest.fixture(scope="module")
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
