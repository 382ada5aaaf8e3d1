"""The page of a team at work: what it says, what it escapes, and what it refuses."""

from __future__ import annotations

import copy
import re

import pytest

from counterpoint.errors import LogError
from counterpoint.report import render


def attempt(number, task, worker, status, started, ended, **more):
    return {"id": number, "task": task, "worker": worker, "status": status, "started": started,
            "ended": ended, "cost": 1, "note": "", "files": [], "tokens": None, "dollars": None,
            "log": [], **more}  # fmt: skip


TEAM = {
    "schema": "counterpoint.team/1", "version": "1", "name": "demo", "topology": "flat_locks",
    "workers": 2, "seed": 0, "verdict": "the budget of runs is used up", "tasks": 3, "done": 1,
    "tries": 4, "tokens": 1234567, "dollars": 0.25, "unknown": {"tokens": 0, "dollars": 2},
    "iterations": 1, "passing": 4, "failing": ["t2", "t3"], "given_up": 0,
    "throughput": {"per_1000_tries": 250.0, "per_minute": 1.0}, "large": {"tasks": 0, "done": 0},
    "seconds": 61.4, "attempts": 3, "conflicts": 1, "failed": 1, "lost": 0, "repository": "r.git",
    "head": "abc", "budget": {"runs": 3, "dollars": None},
    "unfinished": [{"task": "t2", "reason": "breaks t1", "attempts": 1},
                   {"task": "t3", "reason": "not tried", "attempts": 0}],
    "history": [
        attempt(1, "t1", "worker_1", "merged", 0.0, 12.5, files=["a.py"], tokens=10, dollars=0.1),
        attempt(2, "t2", "worker_2", "failed", 1.0, 30.0, note="breaks t1",
                log=["line one", "<script>alert(1)</script>"]),
        attempt(3, "t2", "worker_2", "running", 31.0, None),
    ],
}  # fmt: skip


def test_the_page_says_what_is_done_what_it_cost_and_why_the_rest_is_not():
    page = render(TEAM)
    assert "1 of 3 tasks are done: the budget of runs is used up." in page
    assert "3 attempts in 61 s, with 1 conflict, 1 failed attempt." in page
    assert "$0.25" in page
    assert "2 attempts did not report it" in page
    assert "1,234,567" in page
    rows = re.findall(r"<tr.*?</tr>", page, re.DOTALL)
    assert any("t3" in row and "not tried" in row and "not done" in row for row in rows)
    assert any("t2" in row and "breaks t1" in row for row in rows)
    assert 'href="#attempt-2"' in page
    assert 'id="log-2"' in page
    assert "line one\n&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script" not in page


@pytest.mark.parametrize(
    ("verdict", "done", "tasks", "sentence"),
    [("done", 3, 3, "3 of 3 tasks are done."), ("done", 1, 1, "1 of 1 task is done."),
     ("", 0, 3, "0 of 3 tasks are done so far.")],
)  # fmt: skip
def test_headlines(verdict, done, tasks, sentence):
    page = render({**TEAM, "verdict": verdict, "done": done, "tasks": tasks, "unfinished": []})
    assert f'<h1 id="verdict">{sentence}</h1>' in page


def test_a_team_before_its_first_attempt_has_a_page():
    assert "0 attempts of 0 workers" in render({**TEAM, "history": [], "unfinished": []})


@pytest.mark.parametrize("part", ["history", "tasks", "verdict", "seconds", "repository"])
def test_a_part_that_is_missing_is_named(part):
    broken = copy.deepcopy(TEAM)
    del broken[part]
    with pytest.raises(LogError, match=part):
        render(broken)


def test_a_part_of_another_type_is_named():
    broken = copy.deepcopy(TEAM)
    broken["history"][1]["started"] = "soon"
    with pytest.raises(LogError, match=r"history\[.*started"):
        render(broken)


def test_the_reason_of_a_verdict_stands_below_a_short_headline():
    page = render({**TEAM, "verdict": "3 attempts in a row failed the same way: status 3: x"})
    headline = re.search(r'<h1 id="verdict">(.*?)</h1>', page)
    assert headline
    assert headline[1] == "1 of 3 tasks are done: 3 attempts in a row failed the same way."
    assert len(headline[1].split()) <= 15
    assert "The reason was: status 3: x." in page


@pytest.mark.parametrize(
    ("budget", "shown", "absent"),
    [({"runs": 3, "dollars": None}, "budget of runs", "budget of dollars"),
     ({"runs": None, "dollars": None}, "no limit", "budget of")],
)  # fmt: skip
def test_budgets_that_have_no_limit_are_not_listed(budget, shown, absent):
    page = render({**TEAM, "budget": budget, "verdict": "done"})
    assert shown in page
    assert absent not in page


def test_a_page_of_many_attempts_has_the_newest_logs_and_counts_the_others():
    many = copy.deepcopy(TEAM)
    many["history"] = [
        attempt(n, "t1", "worker_1", "failed", n, n + 1.0, log=[f"log number {n};"])
        for n in range(1, 251)
    ]
    page = render(many)
    assert "but for 150 earlier attempts" in page
    assert page.count("<details") - render(TEAM).count("<details") == 99
    assert "log number 151;" in page
    assert "log number 150;" not in page
    assert set(re.findall(r'href="#(log-\d+)"', page)) <= set(re.findall(r'id="([^"]+)"', page))
    assert "but for" not in render(TEAM)
