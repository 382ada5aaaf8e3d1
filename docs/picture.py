"""Take the picture of the README: the top of the page that `counterpoint demo` writes.

Run `python docs/picture.py counterpoint-out/regions/report.html`; it needs Chromium.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

QUIET = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync")


def take(page: Path, picture: Path) -> None:
    """Save the first screen of an HTML file as PNG."""
    browser_path = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=browser_path, args=list(QUIET))
        tab = browser.new_page(viewport={"width": 1000, "height": 860}, color_scheme="light")
        tab.goto(page.resolve().as_uri())
        picture.parent.mkdir(exist_ok=True)
        tab.screenshot(path=str(picture))
        browser.close()


if __name__ == "__main__":
    take(Path(sys.argv[1]), Path(__file__).parent / "images" / "report.png")
