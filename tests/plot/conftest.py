"""A real browser for the tests of pages; without one they are skipped, and say what is missing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from browsing import chromium_path, launched


@pytest.fixture(scope="session")
def browser() -> Iterator[object]:
    """A headless Chromium with an empty profile."""
    pytest.importorskip("playwright", reason="playwright is not installed: pip install playwright")
    path = chromium_path()
    if path is None:
        pytest.skip("no Chromium is installed (apt-get install chromium), and SEQPLRP_CHROMIUM names none")
    with launched(path) as found:
        yield found
