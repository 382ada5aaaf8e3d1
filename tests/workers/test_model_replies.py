"""FILE blocks of a model's reply, in the forms that models write."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from counterpoint.workers.members import _files_in_reply

F = "```"
HERE = SimpleNamespace(prefix="", entries={})


def written(reply):
    return {path: file.data.decode() for path, file in _files_in_reply(reply, HERE).items()}


@pytest.mark.parametrize(
    "line",
    ["FILE: a.py", "FILE: `a.py`", "**FILE: a.py**", "### FILE: a.py", 'FILE: "a.py"',
     "FILE: ./a.py", "FILE: a.py  ", "FILE: a.py\r", "FILE: a.py\n\n", "FILE: a.py\r\n\r"],
)  # fmt: skip
def test_a_name_however_it_is_marked(line):
    assert written(f"Sure!\n{line}\n{F}python\nx = 1\n{F}\nDone.") == {"a.py": "x = 1\n"}


def test_line_ends_and_spaces_in_names_are_kept():
    assert written(f"FILE: a b.py\r\n{F}\r\nx\r\n{F}\r\n") == {"a b.py": "x\r\n"}
    assert written(f"FILE: a.py\n{F}\n{F}\n") == {"a.py": ""}
    assert written(f"FILE: a\n{F}\nx\u2028y\x0cz\n{F}") == {"a": "x\u2028y\x0cz\n"}


def test_a_block_in_a_file_does_not_end_it():
    text = f"# How\n{F}sh\nmake\n{F}\nend\n"
    assert written(f"FILE: README.md\n{F}markdown\n{text}{F}\n") == {"README.md": text}
    bare = f"one\n{F}\ntwo\n{F}\nthree\n"
    both = f"FILE: a.md\n{F}`\n{bare}{F}`\nFILE: b.py\n{F}\ny\n{F}"
    assert written(both) == {"a.md": bare, "b.py": "y\n"}


@pytest.mark.parametrize(
    "reply",
    [f"FILE: a.py\n{F}\nx = 1\n", f"FILE: a.py\nIt says:\n{F}\nx\n{F}\n", f"FILE: \n{F}\nx\n{F}",
     "FILE: a.py\n~~~\nx\n~~~\n", f"{F}\nx\n{F}\n", "", "FILE: a.py"],
)  # fmt: skip
def test_what_has_no_name_or_no_end_is_no_file(reply):
    assert written(reply) == {}
