"""One key from the keyboard, without waiting for Enter."""

from __future__ import annotations

import sys

from counterpoint.machine.modules import module_or_none

termios, tty = module_or_none("termios"), module_or_none("tty")


def one_key() -> str:
    """Returns a key from the terminal, or the next character that is no space from a pipe.

    A system without such terminals gives the first character of a line. It is "" at the end.
    """
    if not sys.stdin.isatty() or termios is None:
        key = sys.stdin.read(1)
        return one_key() if key.isspace() else key
    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setcbreak(sys.stdin)
        return sys.stdin.read(1)
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
