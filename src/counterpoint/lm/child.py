"""`python -m ... child MODULE ARGUMENTS`: run a module, and end when whoever started us has ended.

The starter holds the other end of our standard input. However it ends, that end is closed then.
"""

from __future__ import annotations

import os
import runpy
import sys
import threading


def main() -> None:
    """Run the module that is named first, as `python -m` would."""
    threading.Thread(target=_end_with_the_starter, daemon=True).start()
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


def _end_with_the_starter() -> None:
    while os.read(0, 1):  # not sys.stdin, whose lock would be held while Python shuts down
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
