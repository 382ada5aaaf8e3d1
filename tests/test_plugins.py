"""Parts of other packages: found by entry points, used on the command line, refused in one line."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import warnings
from importlib import import_module
from pathlib import Path

import pytest

from counterpoint import plugins as plugins_module
from counterpoint.credit import Scheme, catalogue, entries, scheme_name, scheme_named
from counterpoint.errors import PluginError, UnknownNameError
from counterpoint.plugins import Plugin, PluginWarning, Registry, failure, plugins
from counterpoint.records import Episode, Event
from counterpoint.testing import (
    check_audit,
    check_exporter,
    check_judge,
    check_reader,
    check_scheme,
    check_speaker,
    check_world,
)

ROOT = Path(__file__).parents[1]
GROUP = "counterpoint.songs"


def declare(folder, package, lines, version="1.0", group=GROUP, **modules):
    """Puts a package into a folder as an installer leaves it: metadata and modules."""
    metadata = folder / f"{package.replace('-', '_')}-{version}.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Name: {package}\nVersion: {version}\n")
    (metadata / "entry_points.txt").write_text(f"[{group}]\n" + "\n".join(lines) + "\n")
    for name, source in modules.items():
        (folder / f"{name}.py").write_text(source)


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder in which packages can be declared before anybody looks."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(plugins_module, "_packages", {})
    before = set(sys.modules)
    plugins_module._declared.cache_clear()
    yield tmp_path
    plugins_module._declared.cache_clear()
    for name in set(sys.modules) - before:
        del sys.modules[name]


def songs():
    """A registry of texts with one built-in part."""
    return Registry(GROUP, {"anthem": "la"}, "a text", lambda name, part: isinstance(part, str))


def test_built_in_parts_and_those_of_packages_are_looked_up_alike(site):
    declare(site, "our-songs", ["ballad = our_songs:BALLAD"], "2.1", our_songs="BALLAD = 'lu'")
    known = songs()
    assert dict(known) == {"anthem": "la", "ballad": "lu"}
    assert known.named("ballad") == known["ballad"] == "lu"
    assert len(known) == 2
    assert "ballad" in known
    assert "dirge" not in known
    assert known.package("anthem") is None
    assert known.package("dirge") is None
    assert known.package("ballad") == "our-songs 2.1"
    with pytest.raises(KeyError):
        known["dirge"]
    wanted = "got song 'balad'; did you mean ballad? wanted one of anthem, ballad"
    with pytest.raises(UnknownNameError) as caught:
        known.named("balad")
    assert str(caught.value) == wanted


def test_nothing_is_imported_before_somebody_looks_it_up(site):
    declare(site, "a", ["x = mod_a:X"], mod_a="X = 'x'")
    declare(site, "b", ["y = mod_b:Y"], mod_b="Y = 'y'")
    known = songs()
    assert known["anthem"] == "la"
    assert known.package("y") == "b 1.0"
    assert known["y"] == "y"
    assert "mod_b" in sys.modules
    assert "mod_a" not in sys.modules
    (plugin,) = [p for p in plugins(GROUP).values() if p.name == "x"]
    assert isinstance(plugin, Plugin)
    assert str(plugin) == "plug-in 'x' of a 1.0 (counterpoint.songs: mod_a:X)"
    assert plugins("counterpoint.nothing") == {}


BROKEN = {
    "no module": (
        "x = mod_of_nobody:X",
        "",
        "ModuleNotFoundError: No module named 'mod_of_nobody'",
    ),
    "no attribute": ("x = mod_x:Y", "X = 'x'", "AttributeError: module 'mod_x' has no attribute"),
    "a syntax error": ("x = mod_x:X", "X = (", "SyntaxError: "),
    "an error of two lines": ("x = mod_x:X", "raise ValueError('a\\nb')", "ValueError: a b)"),
    "an exit": ("x = mod_x:X", "raise SystemExit(3)", "SystemExit: 3"),
    "another type": ("x = mod_x:X", "X = 7", "which is of type int; wanted a text"),
    "a class": ("x = mod_x:X", "class X: pass", "which is the class X; wanted a text"),
    "an odd name": ("x,y = mod_x:X", "X = 'x'", "wanted a name of letters, digits, _ and -"),
    "a built-in name": ("anthem = mod_x:X", "X = 'x'", "whose name is that of a built-in part"),
}


@pytest.mark.parametrize("defect", BROKEN)
def test_a_plug_in_that_cannot_be_used_is_one_line_with_its_package(site, defect, capsys):
    line, source, complaint = BROKEN[defect]
    declare(site, "bad-songs", [line, "good = mod_good:X"], mod_x=source, mod_good="X = 'g'")
    known, name = songs(), line.partition(" =")[0]
    with pytest.warns(PluginWarning) as met:
        assert list(known) == ["anthem", "good"]
    (message,) = [str(each.message) for each in met]
    assert message.startswith(f"got plug-in '{name}' of bad-songs 1.0 (counterpoint.songs: mod_")
    assert complaint in message
    assert "\n" not in message
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert list(known) == ["anthem", "good"]  # it is said once
    if name == "anthem":
        assert known["anthem"] == "la"
        return
    with pytest.raises(PluginError) as caught:
        known.named(name)
    assert str(caught.value) == message
    with pytest.raises(PluginError):
        assert name in known  # neither yes nor no


def test_two_packages_with_one_name_are_both_named(site):
    declare(site, "a", ["x = mod_a:X"], mod_a="X = 'x'")
    declare(site, "b", ["x = mod_a:X"])
    with pytest.raises(
        PluginError, match=r"another of that name of . 1\.0; uninstall one"
    ) as caught:
        songs().named("x")
    assert "a 1.0" in str(caught.value)
    assert "b 1.0" in str(caught.value)


def test_what_a_plug_in_prints_while_it_is_imported_stays_off_standard_output(site, capsys):
    declare(site, "loud", ["x = mod_loud:X"], mod_loud="print('hello')\nX = 'x'")
    assert songs()["x"] == "x"
    assert capsys.readouterr() == ("", "hello\n")


def test_broken_metadata_is_one_warning_and_the_others_are_found(site):
    declare(site, "a", ["x = mod_a:X"], mod_a="X = 'x'")
    declare(site, "b", ["this is no entry point"])
    with pytest.warns(PluginWarning, match=r"b-1.0.dist-info cannot be read .*; install it anew"):
        assert list(plugins(GROUP)) == ["x"]


def test_a_copy_farther_down_the_path_is_not_a_rival(site, monkeypatch):
    declare(site, "a", ["x = mod_a:X"], "2.0", mod_a="X = 'new'")
    declare(site / "old", "a", ["x = mod_a:X"], "1.0", mod_a="X = 'old'")
    monkeypatch.setattr(sys, "path", [*sys.path, str(site / "old")])
    assert songs()["x"] == "new"
    assert songs().package("x") == "a 2.0"


def test_an_error_in_the_code_of_a_plug_in_is_blamed_on_its_package(site):
    source = "def X(text):\n    return int(text)\n"
    declare(site, "parser", ["x = mod_p:X"], mod_p=source)
    known = Registry(GROUP, {}, "a function", lambda name, part: callable(part))
    for call, blamed in ((known["x"], True), (int, False)):
        with pytest.raises(ValueError) as caught:
            call("a\nb")
        line = failure(caught.value)
        assert bool(line) is blamed
    with pytest.raises(ValueError) as caught:
        known["x"]("two")
    assert failure(caught.value) == (
        "the plug-in package parser 1.0 failed (ValueError: invalid literal for int() with "
        f"base 10: 'two', at {site / 'mod_p.py'}:2)"
    )


def test_schemes_are_written_alike_whatever_is_installed(site):
    source = (
        "from counterpoint.credit import Entry, Scheme\n"
        "HOUSE = Entry('house', Scheme(center_by=('prompt',), floor=0.07), 'title', 'ours')\n"
    )
    lines = ["house = mod_house:HOUSE", "home = mod_house:HOUSE", "bare = mod_house:HOUSE.scheme"]
    declare(site, "house-rules", lines, group="counterpoint.schemes", mod_house=source)
    scheme = scheme_named("house")
    assert scheme == Scheme(center_by=("prompt",), floor=0.07) == catalogue()["house"]
    assert scheme_named("house,floor=0.1") == Scheme(center_by=("prompt",), floor=0.1)
    assert scheme_name(scheme) == "grpo_rows,floor=0.07"
    assert entries().package("house") == "house-rules 1.0"
    for name in ("home", "bare"):
        with pytest.raises(PluginError, match=r"wanted a counterpoint\.credit\.Entry of the same"):
            scheme_named(name)


# --- the page about plug-ins and the example package are one --------------------------------------

PAGE = (ROOT / "docs/how-to/plugins.md").read_text("utf-8")
PACKAGE = ROOT / "tests" / "plugin_package"


def definitions(source):
    """Functions, classes and values of a module, without imports and calls."""
    kinds = (ast.FunctionDef, ast.ClassDef, ast.Assign)
    return {ast.unparse(node) for node in ast.parse(source).body if isinstance(node, kinds)}


def test_the_page_shows_the_example_package():
    """The page shows a scheme, an audit and a speaker in full; it names the other parts."""
    shown = set().union(*map(definitions, re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)))
    whole = definitions((PACKAGE / "house_rules.py").read_text("utf-8"))
    assert len(shown - whole) == 1  # the log in the example of an audit
    assert len(shown & whole) == 6
    (lines,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    project = tomllib.loads((PACKAGE / "pyproject.toml").read_text("utf-8"))["project"]
    assert tomllib.loads(lines)["project"]["entry-points"] == project["entry-points"]


def test_every_part_of_the_example_package_keeps_its_promises(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(PACKAGE)
    parts = import_module("house_rules")

    def meetings(text):
        events = (Event(0, "ann", "message", text),)
        return [Episode(text, events, ("ann", "bob"))] * 20

    check_scheme(parts.HOUSE)
    check_audit(parts.SHOUTING, meetings("NOW"), meetings("Now, please."))
    check_reader(
        parts.MINUTES, [{"meeting": "a test", "minutes": ["ann: I wrote it.", "bob: Ok."]}]
    )
    check_judge(
        lambda: parts.Brevity(parts.BrevitySettings()),
        better="The answer is 42.",
        worse="After a long time of thinking about it, the answer that we came to is 42.",
    )
    check_speaker(parts.first_option, seeded=True)
    check_exporter(parts.CsvExporter, tmp_path)
    check_world(parts.NIGHT_WATCH.make())
    del sys.modules["house_rules"]  # other tests look whether it was imported


# --- an installed package, on the command line ---------------------------------------------------


@pytest.fixture(scope="session")
def installed(tmp_path_factory):
    """The folder into which the example package is installed, by pip, without a network."""
    folder = tmp_path_factory.mktemp("plugins")
    shutil.copytree(ROOT / "tests" / "plugin_package", folder / "source")
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
         "--no-deps", "--no-build-isolation", "--no-index", "--target", folder / "site",
         folder / "source"],
        check=True, timeout=300,
    )  # fmt: skip
    return folder / "site"


COMMANDS = """
import contextlib, io, json, sys
from counterpoint.cli.main import run
ended = []
for words in json.load(sys.stdin):
    out, err, status = io.StringIO(), io.StringIO(), None
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            run(words)
        except SystemExit as stop:
            status = stop.code
    ended.append((status, out.getvalue(), err.getvalue()))
json.dump(ended, sys.stdout)
"""
"""Command lines one after the other: to start a process for each takes longer than they do."""


@pytest.fixture
def counterpoint(installed, tmp_path):
    """Runs command lines in a process in which the example package is installed."""

    def run(*commands, site=()):
        """Returns exit status, standard output and standard error of each command line."""
        path = os.pathsep.join(map(str, [*site, installed, ROOT / "src"]))
        ended = subprocess.run(
            [sys.executable, "-c", COMMANDS], cwd=tmp_path, text=True, check=True, timeout=300,
            env={**os.environ, "PYTHONPATH": path, "COUNTERPOINT_HOME": str(tmp_path / "home")},
            input=json.dumps([list(map(str, words)) for words in commands]), capture_output=True,
        )  # fmt: skip
        return json.loads(ended.stdout)

    return run


@pytest.fixture
def rewards(tmp_path):
    """A log of rewards."""
    file = tmp_path / "rewards.jsonl"
    rows = [
        {"step": 0, "prompt": p, "rollout": r, "agent": a, "reward": (p + 3 * r + (a == "ann")) % 5}
        for p in range(6)
        for r in range(4)
        for a in ("ann", "bob")
    ]
    file.write_text("\n".join(map(json.dumps, rows)))
    return file


@pytest.mark.slow
def test_a_log_is_diagnosed_under_a_scheme_of_a_package(counterpoint, rewards):
    words = ("diagnose", rewards, "--json", "--scheme")
    named, written, changed, wrong = counterpoint(
        (*words, "house"), (*words, "grpo_rows,floor=0.05,clip=3.0"), (*words, "house,floor=0.1"),
        (*words, "hose"),
    )  # fmt: skip
    assert [each[0] for each in (named, written, changed, wrong)] == [0, 0, 0, 2]
    result, same = json.loads(named[1]), json.loads(written[1])
    assert result["agents"] == same["agents"]
    assert result["config"]["scheme"] == "house"
    assert json.loads(changed[1])["config"]["scheme"] == "house,floor=0.1"
    line = "got scheme 'hose'; did you mean house? `counterpoint schemes` lists them all"
    assert wrong[2] == f"counterpoint: {line}\n"


def test_lists_name_the_package(counterpoint):
    ended = counterpoint(("schemes", "--json"), ("schemes",), ("audit",), ("doctor", "--json"),
                         ("worlds", "--json"), ("worlds",))  # fmt: skip
    assert [status for status, _, _ in ended] == [0] * 6
    outs = [out for _, out, _ in ended]
    schemes = json.loads(outs[0])
    assert schemes["house"]["package"] == "house-rules 1.2"
    assert "package" not in schemes["grpo"]
    assert "(house-rules 1.2)" in outs[1]
    assert "messages in capitals (house-rules 1.2)" in outs[2]
    listed = json.loads(outs[4])
    assert listed["night_watch"]["package"] == "house-rules 1.2"
    assert "package" not in listed["regions"]
    assert "guards watch side by side" in outs[5]
    parts = json.loads(outs[3])["plugins"]
    assert {(part["group"], part["name"]) for part in parts} == {
        ("counterpoint.schemes", "house"),
        ("counterpoint.audits", "shouting"),
        ("counterpoint.readers", "minutes"),
        ("counterpoint.judges", "brevity"),
        ("counterpoint.speakers", "first"),
        ("counterpoint.exporters", "csv"),
        ("counterpoint.worlds", "night_watch"),
    }
    assert all(p["package"] == "house-rules 1.2" and not p["problem"] for p in parts)


MINUTES = {"meeting": "the test", "minutes": ["ann: WHO WROTE THIS", "bob: I did.", "ann: OH"]}


def test_a_log_of_a_format_of_a_package_is_imported_and_audited(counterpoint, tmp_path):
    log, broken, out = tmp_path / "minutes.jsonl", tmp_path / "broken.json", tmp_path / "out.jsonl"
    log.write_text(f"{json.dumps(MINUTES)}\n" * 12)
    broken.write_text(json.dumps({**MINUTES, "minutes": ["nobody"]}))
    imported, audited, alone, damaged, wrong = counterpoint(
        ("import", log, "-o", out, "--json"),
        ("audit", out, "--fail-on", "shouting", "--json"),
        ("audit", log, "--only", "shouting", "--json"),
        ("audit", broken),
        ("audit", log, "--only", "shoutin"),
    )
    assert [each[0] for each in (imported, audited, alone, damaged, wrong)] == [0, 1, 0, 2, 2]
    result = json.loads(imported[1])
    assert (result["format"], result["episodes"], result["agents"]) == ("minutes", 12, 2)
    findings = json.loads(audited[1])["findings"]
    (finding,) = [each for each in findings if each["audit"] == "shouting"]
    assert (finding["value"], finding["n"], finding["verdict"]) == (1.0, 12, "found")
    assert finding["cases"][0]["quote"] == "WHO WROTE THIS"
    (again,) = json.loads(alone[1])["findings"]
    assert (again["value"], again["n"]) == (1.0, 12)
    assert damaged[2].endswith("broken.json, minutes 0: got 'nobody'; wanted 'name: text'\n")
    assert "did you mean shouting?" in wrong[2]


def test_a_judge_of_a_package_ranks(counterpoint, tmp_path):
    runs = [{"id": i, "text": text} for i, text in (("a", "one two three four"), ("b", "1 2 3"))]
    groups = tmp_path / "groups.jsonl"
    groups.write_text(json.dumps({"id": "g", "task": "count", "runs": runs}))
    words = ("rank", groups, "--json", "--judge")
    ranked, least, wrong, person = counterpoint(
        (*words, "brevity"), (*words, "brevity", "--set", "fewest_words=4"), (*words, "breviti"),
        ("judge", "check", groups, "--judge", "human"),
    )  # fmt: skip
    assert [each[0] for each in (ranked, least, wrong, person)] == [0, 0, 2, 2]
    result = json.loads(ranked[1])
    assert result["judge"] == {"judge": "brevity", "fewest_words": "3"}
    assert result["groups"][0]["ranking"] == [["b"], ["a"]]
    assert json.loads(least[1])["groups"][0]["ranking"] == [["a"], ["b"]]
    assert "did you mean brevity?" in wrong[2]
    assert "got --judge human; wanted a judge that" in person[2]


def test_a_speaker_of_a_package_plays(counterpoint):
    words = ("topology", "hidden_profile", "--members", "3", "--seeds", "2", "--items", "4",
             "--topologies", "star", "--prompts", "naive,optimal", "--workers", "1")  # fmt: skip
    ((status, out, _),) = counterpoint((*words, "--model", "first", "--json"))
    assert status == 0
    assert set(json.loads(out)["scores"]) == {"star"}


def test_a_world_of_a_package_is_compared(counterpoint):
    words = ("compare", "night_watch", "--seeds", "2", "--workers", "1", "--json", "--schemes",
             "mappo_pooled", "--set", "updates=3")  # fmt: skip
    compared, more, wrong, near = counterpoint(
        words, (*words, "guards=4"), (*words, "guards=99"), ("worlds", "night_wach")
    )
    assert [each[0] for each in (compared, more, wrong, near)] == [0, 0, 2, 2]
    assert json.loads(compared[1])["agents"] == ["guard_00", "guard_01", "guard_02"]
    assert len(json.loads(more[1])["agents"]) == 4
    assert "got guards=99; wanted a number from 1 to 16" in wrong[2]
    assert "did you mean night_watch?" in near[2]


def test_an_exporter_of_a_package_gets_the_series_of_a_run(counterpoint, tmp_path):
    pytest.importorskip("torch")
    words = ("train", "spread", "--set", "copies=8", "steps=5", "hidden=8", "diagnose_every=1",
             "--budget", "80", "--out", "run", "--export")  # fmt: skip
    wrong, trained = counterpoint((*words, "cvs"), (*words, "csv"))
    assert (wrong[0], trained[0]) == (2, 0)
    assert "got exporter 'cvs'; did you mean csv?" in wrong[2]
    lines = (tmp_path / "run" / "csv" / "series.csv").read_text().splitlines()
    assert sorted({int(line.split(",")[0]) for line in lines}) == [40, 80]


STOPPING = """
import os, signal

class Stopping:
    def __init__(self, run):
        self.file = run / "stopping" / "steps"

    def log(self, row):
        with self.file.open("a") as file:
            file.write(f"{row['step']}\\n")
        if row["step"] == 40:
            os.kill(os.getpid(), signal.SIGTERM)

    def close(self):
        pass
"""


@pytest.mark.slow
def test_a_run_that_goes_on_is_exported_as_before(counterpoint, tmp_path):
    pytest.importorskip("torch")
    lines = ["stopping = stopping:Stopping"]
    declare(tmp_path / "site", "stopping", lines, group="counterpoint.exporters", stopping=STOPPING)
    words = ("train", "spread", "--set", "copies=8", "steps=5", "hidden=8", "diagnose_every=1",
             "--budget", "80", "--out", "run", "--export", "stopping")  # fmt: skip
    stopped, resumed = counterpoint(words, ("resume", "run"), site=[tmp_path / "site"])
    assert (stopped[0], resumed[0]) == (143, 0)
    assert (tmp_path / "run" / "stopping" / "steps").read_text() == "40\n80\n"


def program(*words, site, cwd):
    """The program in a process of its own, as somebody starts it."""
    path = os.pathsep.join(map(str, [site, ROOT / "src"]))
    return subprocess.run(
        [sys.executable, "-m", "counterpoint", *map(str, words)], cwd=cwd, text=True, timeout=300,
        env={**os.environ, "PYTHONPATH": path}, capture_output=True, check=False,
    )  # fmt: skip


def test_broken_packages_are_named_and_the_rest_works(counterpoint, tmp_path, rewards):
    site = tmp_path / "broken"
    declare(site, "late-songs", [], wrong="PART = 7\n")
    (site / "late_songs-1.0.dist-info" / "entry_points.txt").write_text(
        "[counterpoint.schemes]\ngrpo = wrong:PART\nlost = nowhere:PART\n"
        "[counterpoint.audits]\nseven = wrong:PART\n"
    )
    seven = (
        "got plug-in 'seven' of late-songs 1.0 (counterpoint.audits: wrong:PART), which is of type "
        "int; wanted a counterpoint.audits.Audit of the same name"
    )
    listed = program("audit", site=site, cwd=tmp_path)
    assert listed.returncode == 0
    assert "idleness" in listed.stdout
    assert listed.stderr.startswith(f"counterpoint: {seven}\n")
    words = ("diagnose", rewards, "--scheme")
    lost, own, doctor, chosen = counterpoint(
        (*words, "lost"), (*words, "grpo"), ("doctor", "--json"),
        ("audit", rewards, "--only", "seven"),
        site=[site],
    )  # fmt: skip
    assert [each[0] for each in (lost, own, doctor, chosen)] == [2, 0, 0, 2]
    assert lost[2] == (
        "counterpoint: got plug-in 'lost' of late-songs 1.0 (counterpoint.schemes: nowhere:PART), "
        "which cannot be imported (ModuleNotFoundError: No module named 'nowhere')\n"
    )
    assert own[2] == ""
    problems = {part["name"]: part["problem"] for part in json.loads(doctor[1])["plugins"]}
    assert "whose name is that of a built-in part" in problems["grpo"]
    assert "cannot be imported" in problems["lost"]
    assert problems["house"] == ""
    assert chosen[2] == f"counterpoint: {seven}\n"


def test_a_plug_in_that_fails_at_work_is_one_line(tmp_path):
    site = tmp_path / "broken"
    source = (
        "from counterpoint.audits import Audit\n"
        "AUDIT = Audit('hasty', 'fails', lambda episode: {}['x'], lambda rows, outcomes: [])\n"
    )
    declare(
        site, "hasty-audits", ["hasty = hasty:AUDIT"], group="counterpoint.audits", hasty=source
    )
    log = tmp_path / "chat.json"
    log.write_text(json.dumps([{"role": "assistant", "content": "yes"}]))
    ended = program("audit", log, site=site, cwd=tmp_path)
    assert ended.returncode == 2
    assert ended.stderr == (
        "counterpoint: the plug-in package hasty-audits 1.0 failed (KeyError: 'x', at "
        f"{site / 'hasty.py'}:2); --debug shows the traceback\n"
    )


QUIET = """
import sys
from counterpoint.audits import AUDITS
from counterpoint.cli.main import main
from counterpoint.credit import catalogue, scheme_name, scheme_named
from counterpoint.readers.formats.catalogue import format_of
from counterpoint.runs.exporters import EXPORTERS
from counterpoint.worlds import find_world
find_world("regions")
catalogue()["grpo"], scheme_name(scheme_named("trl,floor=0.05")), AUDITS["stuck"]
format_of({"schema": 1, "events": []}), EXPORTERS.named("tensorboard"), main(["--help"])
assert "house_rules" not in sys.modules
assert "importlib.metadata" not in sys.modules, "the packages were searched"
"""


def test_built_in_names_cost_no_search(installed):
    path = os.pathsep.join(map(str, (installed, ROOT / "src")))
    subprocess.run([sys.executable, "-c", QUIET], check=True, stdout=subprocess.DEVNULL,
                   env={**os.environ, "PYTHONPATH": path})  # fmt: skip
