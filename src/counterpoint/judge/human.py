"""`Human`: a person at a terminal judges pairs, blind, with one key each."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence

from counterpoint.errors import JudgeError
from counterpoint.judge.judges import Opinion
from counterpoint.judge.present import Sheet

KEYS = "1 or 2: that one is better   =: as good as each other   q: stop, and go on another time"


class Human:
    """Shows two texts and waits for a key.

    Args:
        name: the name of the person: two people are two judges.
        key: reads one key; by default from the terminal.
        show: writes a line; by default to standard error.
    """

    at_once = 1

    def __init__(
        self,
        name: str = "",
        key: Callable[[], str] | None = None,
        show: Callable[[str], object] | None = None,
    ) -> None:
        self.name = name
        self._key, self._show = key or _one_key, show or _line

    @property
    def facts(self) -> Mapping[str, str]:
        """Returns the name of the person."""
        return {"judge": "human", "name": self.name}

    def judge(self, sheets: Sequence[Sheet]) -> list[Opinion]:
        """Returns one opinion for each sheet of two.

        Raises:
            JudgeError: a sheet shows more than two texts; a person is asked about pairs.
            KeyboardInterrupt: the person stops.
        """
        return [self._opinion(sheet) for sheet in sheets]

    def _opinion(self, sheet: Sheet) -> Opinion:
        if len(sheet.shown) != 2:
            raise JudgeError(
                f"got {len(sheet.shown)} texts for a person at once; wanted two: --mode swiss, "
                "adaptive or pairwise"
            )
        first, second = sheet.labels
        parts = [f"Task: {sheet.task}", f"All begin with: {sheet.common}" if sheet.common else ""]
        parts += [f"--- {i}\n{each.text}" for i, each in enumerate(sheet.shown, 1)]
        self._show("\n".join(part for part in [*parts, KEYS] if part))
        rankings = {"1": [[first], [second]], "2": [[second], [first]], "=": [[first, second]]}
        while (key := self._key()) not in rankings:
            if key in ("q", "\x03", "\x04", ""):
                raise KeyboardInterrupt
            self._show(KEYS)
        return Opinion(json.dumps({"ranking": rankings[key]}))


def _line(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def _one_key() -> str:
    """Returns a key from the terminal without waiting for Enter; from a pipe, one character."""
    if not sys.stdin.isatty():
        key = sys.stdin.read(1)
        return _one_key() if key.isspace() else key
    import termios
    import tty

    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setcbreak(sys.stdin)
        return sys.stdin.read(1)
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
