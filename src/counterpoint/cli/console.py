"""`SafeConsole`: tables and displays, whose texts pass the filter of `machine/terminal.py`."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from counterpoint.machine.terminal import printable, unguarded


class SafeConsole(Console):
    """A console on which no text but its own moves the cursor or turns the direction of text.

    It writes behind the filter of the stream, which would take its own colours for those of others.
    """

    def __init__(self, *, stderr: bool = False, width: int | None = None) -> None:
        super().__init__(file=unguarded(sys.stderr if stderr else sys.stdout), width=width)

    def on_broken_pipe(self) -> None:
        """Leaves it to the command line, as for any other output, that the reader has left."""
        raise BrokenPipeError

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Yields the segments of a renderable."""
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else printable(text), style, control)
