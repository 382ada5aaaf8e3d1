"""The documentation site: built strictly, searched as files without a network, complete."""

import re
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
QUESTIONS = {
    "baseline offset": "reward-log",
    "two agents in one group": "faq",
    "resume a stopped run": "runs",
    "who is a member": "mapping",
    "PettingZoo environment": "pettingzoo",
    "signal kept": "glossary",
    "canary": "judge",
    "best member": "worth",
    "synergy gap": "topology",
    "price of anarchy": "games",
}
"""What somebody searches for, and the page that has to be among the results."""


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The built site, in a folder of its own: the build writes beside the sources."""
    folder = tmp_path_factory.mktemp("site of docs")
    for name in ("docs", "src"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "mkdocs.yml", folder)
    built = subprocess.run(
        [sys.executable, folder / "docs" / "site.py"], capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stdout[-2000:] + built.stderr[-2000:]
    return folder / "site"


def api_modules():
    return [page.stem for page in sorted((ROOT / "docs" / "reference" / "api").glob("*.md"))]


@pytest.mark.slow
def test_every_public_name_is_on_its_page(site):
    missing = []
    for module in api_modules():
        try:
            names = getattr(import_module(f"counterpoint.{module}"), "__all__", ())
        except ImportError:
            continue  # an adapter whose trainer is not installed
        page = (site / "reference" / "api" / f"{module}.html").read_text("utf-8")
        known = set(re.findall(r'id="counterpoint\.[\w.]*?(\w+)"', page))
        missing += [f"{module}.{name}" for name in names if name not in known]
    assert missing == []


@pytest.mark.slow
def test_search_finds_the_page_of_each_question_without_a_network(site, browser):
    tab = browser.new_page()
    asked = []
    tab.on("request", lambda one: asked.append(one.url))
    for question, wanted in QUESTIONS.items():
        tab.goto((site / "index.html").as_uri())
        tab.keyboard.press("/")
        tab.keyboard.type(question)
        tab.wait_for_selector(f"a[href*='{wanted}'] >> visible=true", timeout=10_000)
    tab.close()
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []


@pytest.mark.slow
def test_the_numbers_and_the_picture_of_the_headline_are_those_of_the_demo():
    checked = subprocess.run(
        [sys.executable, ROOT / "docs" / "headline.py", "--check"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stdout + checked.stderr
