"""Which paths a worker may not change: each spelling, the runner's own, and clean twins."""

from __future__ import annotations

import subprocess
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterpoint.workers.gate.gate import (
    Gate,
    matches_pattern,
    restore_protected,
    without_new_tests,
)
from counterpoint.workers.plan import WorkPlan
from counterpoint.workers.repository.files import LINK, File
from counterpoint.workers.repository.repository import Repository

PLAN = WorkPlan(repository=".", tests="sh run.sh && python3 -m tools.check --config=cfg/own.ini")
PYPROJECT = b'[project]\nname = "x"\nversion = "1"\n[tool.pytest.ini_options]\naddopts = "-q"\n'


@pytest.mark.fault("R28")
@pytest.mark.parametrize(
    "path",
    [
        "test_a.py", "./test_a.py", "tests/test_a.py", "tests//test_a.py", "src/../test_a.py",
        "src/../tests/t.py", "/x/test_a.py", "TESTS/x.py", "sub/test_a.py", "a/b/Tests/data.json",
        "setup.cfg", "pytest.ini", "sub/pytest.ini", "pyproject.toml", "sitecustomize.py",
        "pytest.py", "_pytest/__init__.py", "src/pluggy/__init__.py", "tox.ini", ".gitattributes",
        ".gitmodules", "Makefile", "makefile", "package.json", "web/jest.config.mjs", "a/x.pth",
        "conftest.py", "x.egg-info/entry_points.txt", "json.py", "src/unittest/__init__.py",
        "random.cpython-311-x86_64-linux-gnu.so", "run.sh", "tools/check.py", "cfg/own.ini",
        "tools/check/__main__.py", ".mocharc.yml", ".coveragerc",
    ],
)  # fmt: skip
def test_what_is_protected(path):
    assert Gate(PLAN).protects(path)


@pytest.mark.parametrize(
    "path",
    ["shop/part.py", "shop/json.py", "docs/testing.md", "run.py", "src/run.shop", "contest.py",
     "latest_a.py", "json/data.txt", "src/package/unittest.py", "attests/x.py", "own.ini"],
)  # fmt: skip
def test_what_is_not(path):
    assert not Gate(PLAN).protects(path)


def test_a_plan_of_its_own_and_one_without_the_runner():
    own = replace(PLAN, protected=("secret/*",))
    assert [p for p in ("tests/a.py", "a/secret/b", "Makefile", "json.py") if Gate(own).protects(p)
            ] == ["a/secret/b", "Makefile", "json.py"]  # fmt: skip
    bare = replace(own, protect_runner=False)
    assert [p for p in ("a/secret/b", "Makefile", "json.py", "run.sh") if Gate(bare).protects(p)
            ] == ["a/secret/b"]  # fmt: skip


NAME = st.text("abT.t_*", min_size=1, max_size=4).filter(lambda name: name.strip("."))


@pytest.mark.fault("R28")
@given(st.lists(NAME, min_size=1, max_size=4), st.lists(NAME, max_size=3), NAME)
def test_more_folders_above_or_below_never_unprotect(parts, above, below):
    path = "/".join(parts)
    for pattern in ("tests/*", "test_*.py", "a*", "b/t"):
        if matches_pattern(path, pattern):
            assert matches_pattern("/".join([*above, path]), pattern)
            assert matches_pattern(f"{path}/{below}", pattern) or pattern == "tests/*"
            assert matches_pattern(path.upper(), pattern)


@pytest.fixture
def repository(tmp_path):
    source = tmp_path / "source"
    for path, text in {
        "shop/__init__.py": "", "shop/part.py": "X = 1\n", "tests/test_a.py": "import shop\n",
        "shop/tests/__init__.py": "", "shop/tests/test_b.py": "", "lonely/test_c.py": "",
        "types.py": "Y = 1\n", "pyproject.toml": PYPROJECT.decode(), "run.sh": "exit 0\n",
        "package.json": '{"scripts": {"test": "jest"}, "version": "1"}',
    }.items():  # fmt: skip
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        (source / path).write_text(text)
    return Repository.copy(source, tmp_path / "repo.git")


def test_what_may_be_changed_in_a_commit(repository):
    gate = Gate(PLAN, repository.content(repository.head()))

    def refused(path, data=b"new\n", mode="100644"):
        return gate.why_not(path, File(data, mode))

    assert refused("shop/part.py") == ""
    assert refused("types.py") == ""  # it was there: the repository's own
    assert "in front of the module queue" in refused("queue.py")
    assert "in front of the module queue" in refused("lonely/queue.py")  # pytest looks there
    assert refused("shop/queue.py") == ""  # nobody looks there: shop is a package
    assert "imported" in refused("lonely/__init__.py", b"")
    assert refused("shop/__init__.py") == ""
    assert "imported" in gate.protects("shop/__init__.py")  # it goes
    assert refused("tests", b"elsewhere", LINK) == "a folder with files is there"
    assert refused("run.sh", b"exit 0\n", "100755").startswith("it is protected")


def test_of_two_configurations_only_what_decides_about_tests_stays(repository):
    gate = Gate(PLAN, repository.content(repository.head()))

    def may(path, data, mode="100644"):
        return gate.why_not(path, File(data, mode)) == ""

    assert may("pyproject.toml", PYPROJECT.replace(b'version = "1"', b'version = "2"'))
    assert not may("pyproject.toml", PYPROJECT.replace(b'"-q"', b'"-p evil"'))
    assert not may("pyproject.toml", PYPROJECT + b"[tool.coverage.run]\nplugins = ['evil']\n")
    assert not may("pyproject.toml", b"[project\n")
    assert not may("pyproject.toml", PYPROJECT, "100755")
    assert not may("sub/pyproject.toml", b"[project]\nversion = '1'\n")
    assert may("package.json", b'{"scripts": {"test": "jest"}, "version": "2"}')
    assert not may("package.json", b'{"scripts": {"test": "true"}, "version": "1"}')
    assert not may("package.json", b"[" * 100_000)


def test_a_merged_tree_has_the_heads_tests(repository):
    head = repository.head()
    tree = repository.changed_tree(head, {
        "tests/test_a.py": None, "run.sh": File(b"echo ok\n", "100755"), "queue.py": File(b"evil"),
        "shop/part.py": File(b"X = 2\n"), "tests/test_new.py": File(b""),
    })  # fmt: skip
    kept = repository.content(restore_protected(PLAN, repository, head, tree))
    assert repository.changed(head, kept.commit) == ("shop/part.py",)
    clean = repository.changed_tree(head, {"shop/part.py": File(b"X = 3\n")})
    assert restore_protected(PLAN, repository, head, clean) == clean


def test_new_tests_may_be_added_and_do_not_count_yet(repository):
    plan, head = replace(PLAN, new_tests=True), repository.head()
    gate = Gate(plan, repository.content(head))
    new = {"tests/test_new.py": File(b"def test_new(): pass\n")}
    assert gate.why_not("tests/test_new.py", new["tests/test_new.py"]) == ""
    for path in ("tests/test_a.py", "tests/shop.py", "tests/conftest.py", "tests/data.json"):
        assert gate.why_not(path, File(b"")).startswith("it is protected"), path
    made = repository.commit(repository.changed_tree(head, new), (head,), "add a test")
    assert repository.tree(made) == restore_protected(plan, repository, head, repository.tree(made))
    assert restore_protected(PLAN, repository, head, repository.tree(made)) == repository.tree(head)
    content = repository.content(made)
    assert "tests/test_new.py" not in without_new_tests(plan, content, head)
    assert "tests/test_new.py" in without_new_tests(plan, content, made)
    assert subprocess.run(
        ["git", "--git-dir", str(repository.path), "cat-file", "-e", f"{made}:tests/test_new.py"],
        check=False,
    ).returncode == 0  # fmt: skip
