"""Nothing that a terminal obeys reaches it, and streams that fail cost no result (R35)."""

from __future__ import annotations

import io
import json
import os
import shlex
import subprocess
import sys
import unicodedata

import pytest

from counterpoint.machine.terminal import (
    GuardedStream,
    escaped,
    guarded_streams,
    one_line,
    printable,
    unguarded,
)

SEEN = {"\n", "\t"}
OBEYED = [
    chr(code)
    for code in range(sys.maxunicode + 1)
    if unicodedata.category(chr(code)) in ("Cc", "Cs", "Zl", "Zp") and chr(code) not in SEEN
]
BIDI = [
    chr(code) for code in (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
]
NO_WIDTH = [
    "\u200b",
    "\u200c",
    "\u200d",
    "\u2060",
    "\ufeff",
    "\u00ad",
    "\u034f",
    "\u3164",
    "\U000e0041",
]


@pytest.mark.fault("R35")
def test_every_control_character_becomes_a_sign():
    for character in (*OBEYED, *BIDI, *NO_WIDTH):
        shown = printable(f"a{character}b")
        assert len(shown) == 3
        assert shown[0] + shown[2] == "ab"
        assert unicodedata.category(shown[1]) == "So", ascii(character)
        assert json.loads(escaped(json.dumps(character, ensure_ascii=False))) == character
        assert escaped(character) != character


def test_ordinary_text_stays():
    text = "Änderung 变化 𝛼 → \u0301x 🙂 −1\n\tab"
    assert printable(text) == text
    assert one_line("a\nb\tc\rd") == "a\u240ab c\u240dd"


@pytest.mark.fault("R35")
def test_colours_titles_and_links_of_others_stay_text():
    for attack in ("\x1b[31mred", "\x1b]0;title\x07", "\x1b]8;;http://x\x1b\\y", "\x9b31m", "a\rb"):
        assert not set(printable(attack)) & set(OBEYED)


@pytest.mark.fault("R35")
def test_what_anybody_prints_passes_the_filter(monkeypatch):
    out, err = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    with guarded_streams(), guarded_streams():
        sys.stdout.write("\x1b[2Ja\n")
        sys.stderr.writelines(["\x1b[2Jb", "c"])
        assert unguarded(sys.stdout) is out
    assert sys.stdout is out
    assert (out.getvalue(), err.getvalue()) == ("\u241b[2Ja\n", "\u241b[2Jbc")


def test_only_the_stream_that_may_fail_does():
    class Full(io.StringIO):
        def write(self, text):
            raise OSError(28, "No space left on device")

    assert GuardedStream(Full(), may_fail=True).write("note") == 4
    with pytest.raises(OSError, match="No space"):
        GuardedStream(Full(), may_fail=False).write("result")


LINES = {
    "schemes": ["schemes"],
    "worlds": ["worlds"],
    "doctor": ["doctor"],
    "help": ["--help"],
    "version": ["--version"],
    "topology": ["topology"],
    "game": ["game", "prisoners_dilemma"],
    "model": ["model", "list"],
    "audits": ["audit"],
    "runs": ["runs"],
    "compare": ["compare", "regions", "--schemes", "grpo", "--seeds", "1", "updates=2"],
    "help of one": ["compare", "--help"],
    "completion": ["completion", "bash"],
}
"""A command line of each kind of output."""


def shell(line, tmp_path, streams):
    words = shlex.join([sys.executable, "-m", "counterpoint", *line])
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {words} {streams}"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "COUNTERPOINT_HOME": str(tmp_path / "home")},
    )


@pytest.mark.fault("R36")
@pytest.mark.few(2)
@pytest.mark.parametrize("name", list(LINES))
def test_a_closed_or_full_output_is_one_line_and_status_2(name, tmp_path):
    for streams, why in ((">&-", "standard output is closed"), (">/dev/full", "No space left")):
        done = shell(LINES[name], tmp_path, streams)
        assert done.returncode == 2, (streams, done.stderr)
        assert why in done.stderr.splitlines()[-1]
        assert "Traceback" not in done.stderr
        assert "Exception ignored" not in done.stderr


@pytest.mark.fault("R36")
@pytest.mark.few(2)
@pytest.mark.parametrize("name", list(LINES))
def test_a_closed_or_full_standard_error_costs_no_result(name, tmp_path):
    whole = shell(LINES[name], tmp_path, "")
    assert whole.returncode == 0, whole.stderr
    for streams in ("2>&-", "2>/dev/full", "<&- 2>&-"):
        done = shell(LINES[name], tmp_path, streams)
        assert done.returncode == 0, streams
        if name not in ("compare", "doctor"):  # times, and the memory that is left
            assert done.stdout == whole.stdout
    done = shell(["nowhere"], tmp_path, "2>/dev/full")
    assert done.returncode == 2


@pytest.mark.fault("R36")
@pytest.mark.few(2)
@pytest.mark.parametrize("name", list(LINES))
def test_a_reader_that_leaves_is_no_error(name, tmp_path):
    for reader in ("| head -1", "| true"):
        done = shell(LINES[name], tmp_path, reader)
        assert done.returncode == 0
        assert "Traceback" not in done.stderr
        assert "Exception ignored" not in done.stderr


@pytest.mark.fault("R36")
def test_no_file_gets_the_number_of_a_closed_stream(tmp_path):
    line = ["compare", "regions", "--schemes", "grpo", "--seeds", "1", "updates=2", "--out", "out"]
    assert shell(line, tmp_path, "<&- 2>&- >/dev/null").returncode == 0
    assert json.loads((tmp_path / "out" / "results.json").read_bytes())


@pytest.mark.fault("R36")
@pytest.mark.parametrize(
    "words", [["diagnose", "-"], ["rank", "-", "--judge", "regex", "--set", "pattern=x"]]
)
def test_a_standard_input_that_cannot_be_read_is_one_line(words, tmp_path):
    for streams, why in (("<&-", "got"), ("0>file", "got standard input: Bad file descriptor")):
        done = shell(words, tmp_path, streams)
        assert done.returncode in (2, 3)
        (line,) = done.stderr.splitlines()
        assert line.startswith(f"counterpoint: {why}")
