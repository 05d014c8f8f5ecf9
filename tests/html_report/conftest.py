"""A real browser for the tests of the HTML page."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium, as installed on this machine, or the one that Playwright installs."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="Playwright is not installed: no page is opened"
    )
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    with playwright.sync_playwright() as running:
        try:
            opened = running.chromium.launch(executable_path=path)
        except playwright.Error as error:
            pytest.skip(f"no Chromium is installed, so no page is opened: {error}")
        yield opened
        opened.close()
