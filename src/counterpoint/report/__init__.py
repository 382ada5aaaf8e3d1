"""Pages and tables for people: a result document in, one self-contained HTML file or a table out.

Start at `render` (a document to HTML), `write_report` (the same into a directory) and, for the
terminal, `comparison_table` and `diagnosis_table`. A document is plain JSON, as `compare --json`
and `diagnose --json` print it: this room knows no world and no experiment.
"""

from counterpoint.report.page import render, render_comparison, render_diagnosis, write_report
from counterpoint.report.terminal.credit import comparison_table, diagnosis_table

__all__ = [
    "comparison_table",
    "diagnosis_table",
    "render",
    "render_comparison",
    "render_diagnosis",
    "write_report",
]
