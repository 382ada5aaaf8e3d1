"""Pages and tables for people: a result document in, one self-contained HTML file or a table out.

Start at `render` (a result to HTML), `write_report` (the same into a directory) and, for a
terminal, at the files of `counterpoint.report.terminal`. A result is a value of
`counterpoint.results`, or the plain JSON that it was saved as: this room knows no world and no
experiment.
"""

from counterpoint.report.drawing import Picture, picture
from counterpoint.report.page import render, write_report

__all__ = [
    "Picture",
    "picture",
    "render",
    "write_report",
]
