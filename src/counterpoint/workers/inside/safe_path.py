"""The first code of each Python in a test run: it makes the work folder the last to look in.

It runs inside, as `sitecustomize`, with `PYTHONSAFEPATH` on. No file that appears in the work
folder stands in front of the standard library or of what is installed. Modules that the commit
itself has at its top are found there first, as they are without a gate.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import ModuleSpec, PathFinder

HERE = os.path.dirname(os.path.abspath(__file__))


class OwnModules:
    """Finds the modules that the commit has at its top or in src."""

    def __init__(self, names: list[str], folders: list[str]) -> None:
        self.names, self.folders = frozenset(names), folders

    def find_spec(self, name: str, path: object = None, _: object = None) -> ModuleSpec | None:
        """Returns the module of that name in the work folder, if it is one of the commit's."""
        return PathFinder.find_spec(name, self.folders) if name in self.names else None


def script_folder(words: list[str]) -> str:
    """Returns the folder of the script that the interpreter runs, or ""."""
    for word in words[1:]:
        if word in ("-m", "-c") or word.startswith(("-m", "-c")):
            return ""
        if not word.startswith("-"):
            return os.path.dirname(os.path.abspath(word)) if os.path.isfile(word) else ""
    return ""


def install() -> None:
    """Appends the work folder, and runs the `sitecustomize` that this file hides."""
    with open(os.path.join(HERE, "own.txt"), encoding="utf-8") as file:
        folders, names = (part.split("\n") for part in file.read().split("\n\n"))
    last_folders = [*filter(None, [script_folder(sys.orig_argv)]), *folders]
    sys.path += [
        folder for folder in last_folders if folder not in sys.path and os.path.isdir(folder)
    ]
    last = next((i for i, finder in enumerate(sys.meta_path) if finder is PathFinder), 0)
    sys.meta_path.insert(last, OwnModules(names, folders))
    here = [folder for folder in sys.path if os.path.abspath(folder) == HERE]
    mine = sys.modules.pop("sitecustomize")
    try:
        for folder in here:
            sys.path.remove(folder)
        __import__("sitecustomize")
    except ImportError:
        pass
    finally:
        sys.modules.setdefault("sitecustomize", mine)
        sys.path[:0] = here


if __name__ == "sitecustomize":
    install()
