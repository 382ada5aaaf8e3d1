"""Build the documentation site into `site/`; it is read without a network, also as files.

`zensical` builds it strictly: a link that leads nowhere ends the build. Its pages load one script
from a server of somebody else when they are opened as files; ours takes its place.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
SITE = ROOT / "site"
SHIM = re.compile(r'(?<=src=")https://[^"]*/iframe-worker/shim(?=")')
"""The script that the pages load from elsewhere, wherever that is."""


def without_foreign_script(page: Path) -> None:
    """Replaces the script of a server of somebody else by ours."""
    up = "../" * (len(page.relative_to(SITE).parts) - 1)
    text = SHIM.sub(f"{up}assets/file_worker.js", page.read_text(encoding="utf-8"))
    page.write_text(text, encoding="utf-8")


def build() -> int:
    """Builds the site; returns the exit status."""
    shutil.rmtree(SITE, ignore_errors=True)
    built = subprocess.run(
        [Path(sys.executable).with_name("zensical"), "build", "--strict"], cwd=ROOT, check=False
    )
    for page in SITE.rglob("*.html"):
        without_foreign_script(page)
    if built.returncode == 0:
        sys.stdout.write(f"open {(SITE / 'index.html').relative_to(ROOT)} in a browser\n")
    return built.returncode


if __name__ == "__main__":
    sys.exit(build())
