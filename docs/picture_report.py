#!/usr/bin/env python3
"""Take the picture of the report, docs/images/report.png, from a run of `make demo`. Needs Chromium and playwright.

    python docs/picture_report.py [DEMO_OUTPUT]

It shows the first sequence of the demo's test set, by the first and the last of its methods.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

PICTURE = Path(__file__).parent / "images" / "report.png"
SHOWN = "seq0000000"
STRETCH = (100, 170)
WIDTH, HEIGHT = 1240, 1190
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]


def main(demo: Path) -> None:
    """Write the report into a directory of its own, open it, and keep what is seen."""
    chromium = os.environ.get("SEQPLRP_CHROMIUM") or shutil.which("chromium")
    if chromium is None:
        sys.exit("no Chromium is on the path, and SEQPLRP_CHROMIUM names none")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        page = Path(folder) / "report.html"
        tracks = [demo / "explained" / method for method in ("plrp-centred", "gradient-x-input")]
        truth = ["--truth", demo / "test" / "truth.bed"]
        subprocess.run([shutil.which("seqplrp") or "seqplrp", "report", *tracks, *truth, "--out", page], check=True)
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        shown = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
        shown.goto(f"{page.as_uri()}#seq={SHOWN}&from={STRETCH[0]}&to={STRETCH[1]}")
        shown.wait_for_selector("html[data-ready]")
        shown.wait_for_timeout(500)  # until what is drawn frame by frame has been drawn
        seen = Image.open(BytesIO(shown.screenshot()))
        browser.close()
    # so few colours that a palette loses nothing that is seen, in a third of the size
    seen.convert("RGB").quantize(128, dither=Image.Dither.NONE).save(PICTURE, optimize=True)
    print(f"{PICTURE.relative_to(PICTURE.parents[2])}: {SHOWN}, {STRETCH[0]}-{STRETCH[1]}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "demo-output"))
