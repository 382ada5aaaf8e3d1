"""The gate: tricks of a worker that does not do its work, on real pytest, beside honest twins."""

from __future__ import annotations

import json
import shlex
import shutil
from dataclasses import replace

import pytest
from real_pytest import JUNIT, SITE, pytest_plan, write

from counterpoint.speakers.speaker import Reply
from counterpoint.workers import turn
from counterpoint.workers.gate.checks import CHANGED, run_tests, trusted_outcomes
from counterpoint.workers.members import do_task
from counterpoint.workers.plan import WorkerPlan, WorkPlan
from counterpoint.workers.queue.rows import TeamTask
from counterpoint.workers.sandbox.sandbox import why_no_sandbox
from counterpoint.workers.state import TeamState

WHY_NOT = why_no_sandbox() if shutil.which("bwrap") else "no bubblewrap"
pytestmark = pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))
TESTS = """
import pytest
from shop.sums import add

@pytest.mark.parametrize("x", [1, 2])
def test_add(x):
    assert add(x, 3) == x + 3

def test_zero():
    assert add(5, 0) == 5
"""
FILES = {
    "shop/__init__.py": "", "shop/sums.py": "def add(a, b):\n    return a - b\n",
    "tests/test_sums.py": TESTS, "setup.cfg": "[metadata]\nname = shop\n",
    "pyproject.toml": '[project]\nname = "shop"\nversion = "1"\n',
    "run.sh": JUNIT.replace("{results}", "$1").replace("{tests}", "") + "\n",
    "Makefile": "check:\n\tsh run.sh $(RESULTS)\n",
    "package.json": json.dumps({"scripts": {"test": "sh run.sh"}}),
}  # fmt: skip
TEST = "tests/test_sums.py::test_add[1]"
HONEST = "sed -i 's/a - b/a + b/' shop/sums.py"
JUNIT_FORGED = "".join(
    f'<testcase classname="tests.test_sums" name="{name}"/>'
    for name in ("test_add[1]", "test_add[2]", "test_zero")
)
FORGE = f"""
import os, sys
def forge():
    for word in open("/proc/self/cmdline").read().split("\\0"):
        if word.startswith("--junitxml="):
            with open(word.partition("=")[2], "w") as file:
                file.write('<testsuites><testsuite>{JUNIT_FORGED}</testsuite></testsuites>')
"""
WRONG = "def add(a, b):\n    return 0\n"
PATCH = WRONG + "import _pytest.python\n_pytest.python.Function.runtest = lambda self: None\n"
HOOK = """
import pytest
@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    told = yield
    told.get_result().outcome = "passed"
"""
EMPTY = TESTS.replace("assert ", "assert True or ")
IN_CODE = {  # what the package itself does to the process that tests it
    "exits after writing the results": FORGE + "forge(); os._exit(0)\n",
    "writes the results at exit": FORGE + "import atexit; atexit.register(forge)\n",
    "exits when it is called": FORGE + "def add(a, b):\n    forge()\n    os._exit(0)\n",
    "runs no test body": PATCH,
    "makes every report a good one": (
        WRONG + "import _pytest.reports as r\nmake = r.TestReport.from_item_and_call.__func__\n"
        "def good(cls, *more):\n    told = make(cls, *more)\n    told.outcome = 'passed'\n"
        "    return told\nr.TestReport.from_item_and_call = classmethod(good)\n"
    ),
    "drops what calls find": (
        WRONG + "import _pytest.runner as r\nfirst = r.CallInfo.from_call.__func__\n"
        "def call(cls, func, *more, **kw):\n    return first(cls, lambda: None, *more, **kw)\n"
        "r.CallInfo.from_call = classmethod(call)\n"
    ),
    "writes to every pipe": (
        WRONG + "import json, os\n"
        f"told = {{'ends': os.getpid(), 'tests': {{{TEST!r}: 'passed'}}, 'canaries': {{}}}}\n"
        "for handle in range(3, 1024):\n    try:\n"
        "        os.write(handle, json.dumps(told).encode() + b'\\n')\n"
        "    except OSError:\n        pass\n"
    ),
    "skips": "import pytest\ndef add(a, b):\n    pytest.skip()\n",
    "ends the session": "import pytest\ndef add(a, b):\n    pytest.exit('done', 0)\n",
    "prints what it likes": WRONG + f"print('ok - {TEST}')\n",
}  # fmt: skip
WRITTEN = {  # files that decide how tests are run
    "pytest": {"pytest.py": FORGE + "forge()\n"},
    "pytest as a package": {"pytest/__init__.py": "", "pytest/__main__.py": FORGE + "forge()\n"},
    "a part of pytest": {"_pytest/__init__.py": FORGE + "forge(); os._exit(0)\n"},
    "pytest in src": {"src/pytest/__init__.py": FORGE + "forge(); os._exit(0)\n"},
    "the standard library": {"difflib.py": PATCH, "shop/sums.py": WRONG + "import difflib\n"},
    "a module beside the tests": {"tests/shop.py": "class sums: add = int.__add__\n"},
    "conftest": {"conftest.py": HOOK}, "conftest in tests": {"tests/conftest.py": HOOK},
    "pytest.ini": {"pytest.ini": "[pytest]\naddopts = -p evil\n", "evil.py": HOOK},
    "setup.cfg": {"setup.cfg": "[tool:pytest]\naddopts = -p evil\n", "evil.py": HOOK},
    "tox.ini": {"tox.ini": "[pytest]\naddopts = -p evil\n", "evil.py": HOOK},
    "pyproject": {"pyproject.toml": '[tool.pytest.ini_options]\naddopts = "-p evil"\n',
                  "evil.py": HOOK},
    "sitecustomize": {"sitecustomize.py": FORGE + "forge(); os._exit(0)\n"},
    "a plugin by its metadata": {
        "evil-1.dist-info/entry_points.txt": "[pytest11]\nevil = evil\n",
        "evil-1.dist-info/METADATA": "Name: evil\nVersion: 1\n", "evil.py": HOOK,
    },
    "path files": {"evil.pth": "import os; os._exit(0)\n"},
    "the tests": {"tests/test_sums.py": EMPTY},
}  # fmt: skip
DONE = {  # what else can be done to the files
    "tests deleted": "rm -r tests",
    "tests behind a link": "mv tests fake; sed -i 's/assert/assert True or/' fake/*; "
                           "ln -s fake tests",
    "a test that is a link": "sed 's/assert/assert True or/' tests/test_sums.py > easy.py; "
                             "ln -sf ../easy.py tests/test_sums.py",
    "a test that cannot be read": "chmod 755 tests/test_sums.py",
    "a folder of tests in capitals": "mkdir TESTS; cp tests/* TESTS",
}  # fmt: skip


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """By the command of the tests: a team whose planner has listed what is to be done."""
    made = {}

    def get(tests=JUNIT, **more):
        if (tests, *more) not in made:
            folder = tmp_path_factory.mktemp("begun")
            write(folder / "source", FILES)
            plan = pytest_plan(folder / "source", tests, attempts=1, **more)
            state = TeamState(folder / "run", plan, "solo", 1)
            state.create()
            assert turn.plan(state, "planner") == 0
            assert state.queue.fact("first")["passed"] == 1
            made[tests, *more] = state
        return made[tests, *more]

    return get


def outcome(state, tmp_path, command):
    """How one attempt ends, with its note, and whether anything was refused."""
    shutil.copytree(state.folder, tmp_path / "run", symlinks=True)
    worker = WorkerPlan(kind="command", command=command)
    mine = replace(state, folder=tmp_path / "run", plan=replace(state.plan, worker=worker))
    assert turn.work(mine, "worker_1") == 0
    attempt = mine.queue.attempts()[-1]
    refused = [e.text for e in mine.queue.events() if "not taken" in e.text]
    return attempt.status, attempt.note, refused


def writing(files):
    """The command that writes files."""
    code = (f"import os\nfor path, text in {files!r}.items():\n"
            "    os.makedirs(os.path.dirname(path) or '.', exist_ok=True)\n"
            "    open(path, 'w').write(text)\n")  # fmt: skip
    return f"python3 -c {shlex.quote(code)}"


@pytest.mark.fault("R28")
def test_the_honest_twin_passes(begun, tmp_path):
    assert outcome(begun(), tmp_path, HONEST)[0] == "merged"


@pytest.mark.fault("R28")
@pytest.mark.few(2)
@pytest.mark.parametrize("trick", IN_CODE)
def test_code_under_test_cannot_name_its_result(begun, tmp_path, trick):
    status, note, _ = outcome(begun(), tmp_path, writing({"shop/sums.py": IN_CODE[trick]}))
    assert status == "failed"
    assert note


@pytest.mark.fault("R28")
@pytest.mark.few(2)
@pytest.mark.parametrize("trick", WRITTEN)
def test_what_decides_how_tests_are_run_cannot_be_written(begun, tmp_path, trick):
    status, _, refused = outcome(begun(), tmp_path, writing(WRITTEN[trick]))
    assert status == "failed"
    assert "protected" in refused[0]


@pytest.mark.few(1)
@pytest.mark.parametrize(
    "trick", ["writes the results at exit", "drops what calls find", "pytest",
              "the standard library", "conftest", "pyproject", "the tests"],
)  # fmt: skip
def test_the_same_tricks_win_where_there_is_no_gate(begun, tmp_path, trick):
    state = begun(protect_runner=False, protected=())
    files = WRITTEN.get(trick) or {"shop/sums.py": IN_CODE[trick]}
    assert outcome(state, tmp_path, writing(files))[0] == "merged"


@pytest.mark.fault("R28")
@pytest.mark.parametrize("trick", DONE)
def test_tests_stay_where_and_what_they_are(begun, tmp_path, trick):
    status, _, refused = outcome(begun(), tmp_path, DONE[trick])
    assert status == "failed"
    assert refused


@pytest.mark.fault("R28")
@pytest.mark.few(1)
@pytest.mark.parametrize(
    ("tests", "trick"),
    [
        ("sh run.sh {results}", "echo 'exit 0' > run.sh; chmod +x run.sh"),
        ("make check RESULTS={results}", "printf 'check:\\n\\ttrue\\n' > GNUmakefile"),
        ("make check RESULTS={results}", "printf 'check:\\n\\ttrue\\n' > Makefile"),
        ("$(python3 -c 'import json; print(json.load(open(\"package.json\"))[\"scripts\"][\"test\"]"
         ")') {results}", "sed -i 's/sh run.sh/true/' package.json"),
    ],
)  # fmt: skip
def test_scripts_that_run_tests_stay_as_they_are(begun, tmp_path, tests, trick):
    if tests.startswith("make") and not shutil.which("make"):
        pytest.skip("no make")
    status, _, refused = outcome(begun(tests), tmp_path / "trick", trick)
    assert (status, len(refused)) == ("failed", 1)
    assert outcome(begun(tests), tmp_path / "honest", HONEST)[0] == "merged"


def test_new_tests_are_merged_and_count_from_the_next_turn_of_the_planner(begun, tmp_path):
    state = begun(new_tests=True)
    new = "tests/test_new.py::test_new"
    shutil.copytree(state.folder, tmp_path / "run", symlinks=True)
    command = f"{HONEST}; echo 'def test_new(): assert 0' > tests/test_new.py"
    worker = WorkerPlan(kind="command", command=command)
    mine = replace(state, folder=tmp_path / "run", plan=replace(state.plan, worker=worker))
    assert turn.work(mine, "worker_1") == 0
    assert mine.queue.attempts()[-1].status == "merged"
    head = mine.repository.head()
    assert "tests/test_new.py" in mine.repository.content(head)
    assert mine.queue.passing(head) == {TEST, TEST.replace("1", "2"),
                                        "tests/test_sums.py::test_zero"}  # fmt: skip
    assert new not in {row.id for row in mine.queue.tasks()}
    assert turn.plan(mine, "planner") == 0
    assert new in {row.id for row in mine.queue.tasks()}


def test_a_file_that_cannot_be_imported_is_a_task_that_can_be_done(begun, tmp_path):
    write(tmp_path / "source", {**FILES, "shop/sums.py": "def ad(a, b):\n    return a + b\n"})
    worker = WorkerPlan(kind="command", command="sed -i 's/ad(/add(/' shop/sums.py")
    plan = replace(begun().plan, repository=str(tmp_path / "source"), worker=worker)
    state = TeamState(tmp_path / "run", plan, "solo", 1)
    state.create()
    assert turn.plan(state, "planner") == 0
    assert [row.id for row in state.queue.tasks()] == ["tests/test_sums.py"]
    assert turn.work(state, "worker_1") == 0
    assert state.queue.attempts()[-1].status == "merged"
    assert state.queue.passing(state.repository.head()) == {
        "tests/test_sums.py", TEST, TEST.replace("1", "2"), "tests/test_sums.py::test_zero",
    }  # fmt: skip
    assert run_tests(plan, state.repository.content(state.repository.head())).passed == {
        TEST, TEST.replace("1", "2"), "tests/test_sums.py::test_zero",
    }  # fmt: skip


class Writes:
    """Answers every request with one file."""

    def __init__(self, path):
        self.text = f"FILE: {path}\n```\n{EMPTY}```\n"

    def answer(self, requests):
        return [Reply(text=self.text) for _ in requests]


@pytest.mark.fault("R28")
@pytest.mark.parametrize(
    "path", ["tests/test_sums.py", "./tests/test_sums.py", "tests//test_sums.py",
             "shop/../tests/test_sums.py", "/tests/test_sums.py", "TESTS/test_sums.py"],
)  # fmt: skip
def test_no_spelling_of_a_protected_path_is_written(begun, path):
    state = begun()
    plan = replace(state.plan, worker=WorkerPlan(kind="model", model="m", base_url="http://x"))
    content = state.repository.content(state.repository.head())
    made = do_task(plan, TeamTask(TEST, "", TEST), content, (), 1, 0, Writes(path))
    assert (dict(made.files), made.removed) == ({}, ())


def test_output_that_names_tests_is_believed_of_tap_and_not_of_pytest(begun):
    state = begun()
    forged = {**{path: text.encode() for path, text in FILES.items()},
              "shop/sums.py": f"print('ok - {TEST}')\n".encode()}  # fmt: skip
    own = replace(state.plan, tests="python3 -c 'import shop.sums'", protected=())
    assert run_tests(own, forged).passed == {TEST}  # a script's own words cannot be told from it
    assert run_tests(replace(state.plan, tests="python3 -m pytest"), forged).passed == frozenset()


def test_modules_of_the_commit_come_first_and_all_others_last():
    plan = WorkPlan(repository=".", tests="python3 tools/tap.py")
    code = b"import json, queue, helper, late\nprint('ok -', json.A, queue.A, helper.A)\n"
    found = run_tests(plan, {
        "tools/tap.py": b"open('late.py', 'w').write(''); open('difflib.py', 'w').write('1/0')\n"
                        b"import difflib\n" + code,
        "json.py": b"A = 1\n", "src/queue/__init__.py": b"A = 2\n", "tools/helper.py": b"A = 3\n",
    })  # fmt: skip
    assert (found.passed, found.problem) == ({"1 2 3"}, "")


def test_a_plan_without_the_gate_is_as_before(begun):
    plan = replace(begun().plan, protect_runner=False)
    forged = {path: text.encode() for path, text in FILES.items()}
    forged["shop/sums.py"] = IN_CODE["writes the results at exit"].encode()
    assert run_tests(plan, forged).passed == {TEST, TEST.replace("1", "2"),
                                              "tests/test_sums.py::test_zero"}  # fmt: skip


def test_pytest_xdist_and_skips_and_ends_too_soon(begun):
    plan = begun().plan
    files = {path: text.encode() for path, text in FILES.items()}
    files["tests/test_more.py"] = (
        b"import pytest\n@pytest.mark.skip\ndef test_s(): pass\n"
        b"@pytest.mark.xfail\ndef test_x(): assert 0\n"
        b"@pytest.fixture\ndef late():\n    yield\n    assert 0\ndef test_late(late): pass\n"
        b"class TestC:\n    def test_c(self, tmp_path): pass\n"
    )
    for line in ("python3 -m pytest", "python3 -m pytest -p xdist -n 2"):
        if "xdist" in line and not (SITE / "xdist").is_dir():
            continue
        found = run_tests(replace(plan, tests=line), files)
        assert found.problem == ""
        assert found.passed == {
            "tests/test_sums.py::test_zero",
            "tests/test_more.py::TestC::test_c",
        }
        assert found.failed == {TEST, "tests/test_sums.py::test_add[2]",
                                "tests/test_more.py::test_late"}  # fmt: skip
    first = run_tests(replace(plan, tests="python3 -m pytest -x"), files)
    assert (first.passed, first.failed) == (frozenset(), {"tests/test_more.py::test_late"})


CANARIES = {"a": "passed", "b": "failed"}


@pytest.mark.parametrize(
    ("ends", "why"),
    [
        ({"ends": 1, "tests": {"t": "passed"}, "canaries": CANARIES}, ""),
        ({"ends": 1, "tests": {"t": "failed"}, "canaries": {}}, ""),
        ({"ends": 1, "tests": {"t": "passed"}, "canaries": {"a": "passed", "b": "passed"}}, "fail"),
        ({"ends": 1, "tests": {"t": "passed"}, "canaries": {"a": "passed"}}, "not run"),
        ({"ends": 2, "tests": {}, "canaries": CANARIES}, "cannot be read"),
        ({"ends": 1, "tests": {"t": 3}, "canaries": CANARIES}, "cannot be read"),
        ({"ends": 1, "tests": [], "canaries": CANARIES}, "cannot be read"), ([], "cannot be read"),
        (None, "ended before"),
    ],
)  # fmt: skip
def test_which_reports_are_believed(ends, why):
    lines = [json.dumps({"begins": 1, "canaries": CANARIES})]
    lines += [] if ends is None else [json.dumps(ends)]
    tests, said = trusted_outcomes("\n".join(lines).encode())
    assert (why in said) if why else said == ""
    assert (tests == {}) if why else (tests == ends["tests"])
    assert said.startswith(CHANGED) or not why
