"""Every number of the README and of the start pages has one source, and equals it.

`claims` has the phrases with numbers that stand outside of code and generated tables, each made of
its source. A number that no phrase covers fails the test, and so does a phrase that no page has.
"""

import json
import re
import subprocess
import sys
import tomllib
from inspect import signature
from pathlib import Path

import numpy as np
import pytest

import counterpoint as cp
from counterpoint.audits import run as audits
from counterpoint.audits import worth
from counterpoint.cli.demo import Demo
from counterpoint.diagnose import diagnose
from counterpoint.readers import example_log
from counterpoint.stats import bootstrap_interval
from counterpoint.train.ppo.settings import PYTHON_BUDGET

ROOT = Path(__file__).parents[1]
PAGES = (
    "README.md",
    "docs/index.md",
    *(f"docs/start/{name}.md" for name in ("reward-log", "pettingzoo", "transcripts")),
)
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
NUMBER = re.compile(
    r"(?<![\w.])[+−]?\d[\d,]*(?:\.\d+)?%?|\b(?:three|four|five|six|seven|eight|nine|ten|hundred)\b",
    re.IGNORECASE,
)
"""A number in prose; one, two and 0 are words of grammar and of definitions."""


def prose(page):
    """Returns a page without its code, generated tables, links, headings' numbers and licenses."""
    text = (ROOT / page).read_text("utf-8")
    text = re.sub(r"<!-- (.*?) -->.*?<!-- /\1 -->", "", text, flags=re.DOTALL)
    text = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    text = re.sub(r"\]\([^)]*\)", "]", text)
    text = re.sub(r"`[^`]*`", "`x`", text)
    text = re.sub(r"^## \d\. ", "## ", text, flags=re.MULTILINE)
    return " ".join(text.replace("Apache-2.0", "Apache").split())


def claims():
    """Returns the phrases with numbers, each computed from its source."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    times = json.loads((ROOT / "bench/data/times.json").read_text("utf-8"))["numbers"]
    notebook = (ROOT / "docs/notebooks/pettingzoo.ipynb").read_text("utf-8")
    pooled = re.search(r"mappo_pooled .*agent_1 +(\d+)%  agent_2 +(\d+)%", notebook)
    unequal = re.search(r"stakes=agent_0:(\d+)", (ROOT / "README.md").read_text("utf-8"))
    log = cp.read_decisions(example_log())
    found = diagnose(log, "mappo_pooled", rng=np.random.default_rng(0))
    speaker, listener = found.agents["speaker"], found.agents["listener"]
    seconds = re.search(r"train .*--seconds (\d+)", (ROOT / PAGES[3]).read_text("utf-8"))
    longest = times["compare"]["cpu_seconds"] / 2  # on two idle cores; the page has two, shorter
    minutes = (int(seconds[1]) + 2 * longest) / 60
    level = signature(bootstrap_interval).parameters["level"].default
    seeds, scale = WORDS[Demo().seeds], WORDS[int(scale_of_the_demo())]
    team = WORDS[len(cp.find_world("regions").make().agents)]
    three = WORDS[len(cp.find_world("spread").make().agents)]
    many = {100: "a hundred"}
    return [
        f"Python {project['requires-python'].removeprefix('>=')} or newer",
        f"actions of {team} agents",
        f"all {team} learn",
        f"{scale} times larger",
        f"{seeds} seeds",
        f"{level:.0%} bootstrap intervals",
        f"{WORDS[len(found.groupings)]} normalizations",
        f"{three} agents is paid {many[int(unequal[1])]} times more",
        f"{three} is paid {many[int(unequal[1])]} times more",
        f"{WORDS[10] if minutes < 10 else minutes} minutes",
        f"for {seconds[1]} seconds or {PYTHON_BUDGET:,} steps",
        f"more than {many[100] if times['twin'] > 100 else times['twin']} times",
        f"{level:.0%} interval of the paired difference",
        f"less than {max(map(int, pooled.groups())) + 1}%",
        f"constant bonus of {speaker.mean - listener.mean:.0f}",
        f"near +{speaker.net_mass:.0f} and",
        f"listener's near −{-listener.net_mass:.0f}.",
        f"kept {speaker.signal_kept:.0%} of the signal",
        f"{WORDS[len(('prompt', 'rollout', 'agent', 'reward'))]} columns are enough",
        "Three agents share one reward",
        f"error rate of {audits.LEVEL:.0%}",
        f"At least {WORDS[worth.FEWEST]} tasks",
    ]


def scale_of_the_demo():
    """Returns the factor between the rewards of the demo."""
    return cp.find_world("regions").make().settings.scale


@pytest.fixture(scope="module")
def phrases():
    return claims()


@pytest.mark.parametrize("page", PAGES)
def test_every_number_of_a_page_is_one_of_the_claims(page, phrases):
    text = prose(page)
    for phrase in phrases:
        text = re.sub(re.escape(phrase), "", text, flags=re.IGNORECASE)
    left = [text[max(0, m.start() - 40) : m.end() + 20] for m in NUMBER.finditer(text)
            if m[0] != "0"]  # fmt: skip
    assert left == []


def test_every_claim_stands_on_a_page(phrases):
    pages = " ".join(prose(page) for page in PAGES).lower()
    assert [phrase for phrase in phrases if phrase.lower() not in pages] == []


def test_a_planted_number_is_seen():
    assert NUMBER.findall("It takes 12.5% of ten runs, 3,000 steps and `x` one.") == [
        "12.5%", "ten", "3,000",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "page", "shown"),
    [
        ("demo", "README.md", r"counterpoint demo .*about (.*?);"),
        ("compare", "README.md", r"counterpoint compare .*# about (.*)"),
    ],
)
def test_a_time_on_a_page_lies_between_the_idle_machine_and_the_busy_one(name, page, shown):
    """CPU time over two processes is what two idle cores need at least."""
    seconds = {"ten seconds": 10, "20 seconds": 20, "half a minute": 30, "two minutes": 120}
    said = seconds[re.search(shown, (ROOT / page).read_text("utf-8"))[1]]
    spent = json.loads((ROOT / "bench/data/times.json").read_text("utf-8"))["numbers"][name]
    assert 0.8 * spent["cpu_seconds"] / 2 <= said <= 1.2 * spent["wall_seconds"]


def test_the_tables_of_measurements_are_those_of_their_files():
    checked = subprocess.run(
        [sys.executable, ROOT / "docs" / "tables.py", "--check"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_citation_has_the_version_of_the_package():
    citation = (ROOT / "CITATION.cff").read_text("utf-8")
    assert f"\nversion: {cp.__version__}\n" in citation
