"""Pages opened in a headless Chromium, with everything that they say or ask for written down."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--force-device-scale-factor=1",
]


def chromium_path() -> str | None:
    """The browser of the system: SEQPLRP_CHROMIUM, or one on the path."""
    named = os.environ.get("SEQPLRP_CHROMIUM")
    return named or next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@contextmanager
def launched(path: str) -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS, timeout=120_000)
        yield browser
        browser.close()


@dataclass
class Watched:
    """A page, what it wrote to the console (errors included), and what it asked for."""

    page: Any
    messages: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def ready(self, number: int | None = None) -> None:
        """Wait until a sequence is shown: this one, if it is said."""
        wanted = "undefined" if number is None else f"'{number}'"
        self.until(f"document.documentElement.dataset.ready {'!==' if number is None else '==='} {wanted}")

    def until(self, condition: str, seconds: float = 60.0) -> None:
        """Wait for a condition in the page; it is asked from outside, as the page's policy forbids `eval` within."""
        end = time.monotonic() + seconds
        while not self.page.evaluate(condition):
            if time.monotonic() > end:
                raise TimeoutError(condition)
            self.page.wait_for_timeout(20)


@contextmanager
def opened(browser: Any, path: Path) -> Iterator[Watched]:
    page = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme="light", reduced_motion="reduce")
    page.set_default_timeout(60_000)
    watched = Watched(page)
    page.on("console", lambda message: watched.messages.append(message.text))
    page.on("pageerror", lambda error: watched.messages.append(str(error)))
    page.on("request", lambda request: watched.requests.append(request.url))
    page.goto(path.as_uri())
    watched.ready()
    yield watched
    page.close()
