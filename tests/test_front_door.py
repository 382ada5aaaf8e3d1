"""`import counterpoint` offers the main names of the rooms, and imports nothing for it."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import counterpoint

HERE = Path(counterpoint.__file__).parent


@pytest.mark.parametrize(("name", "room"), counterpoint.FRONT.items())
def test_a_name_is_the_one_of_its_room(name, room):
    assert getattr(counterpoint, name) is getattr(
        importlib.import_module(f"counterpoint.{room}"), name
    )
    assert name in dir(counterpoint)


def test_no_name_shadows_a_room():
    rooms = {path.name for path in HERE.iterdir() if path.is_dir()} | {
        p.stem for p in HERE.glob("*.py")
    }
    assert not rooms & set(counterpoint.FRONT)


def test_a_type_checker_sees_the_same_names():
    stub = ast.parse((HERE / "__init__.pyi").read_text())
    seen = {
        alias.name: node.module
        for node in stub.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == {name: f"counterpoint.{room}" for name, room in counterpoint.FRONT.items()}


def test_importing_the_package_imports_nothing_else():
    code = (
        "import sys, counterpoint; "
        "print([m for m in sys.modules if 'numpy' in m or 'counterpoint.' in m])"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert printed.stdout.strip() == "[]"


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'advantage'"):
        counterpoint.advantage  # noqa: B018
