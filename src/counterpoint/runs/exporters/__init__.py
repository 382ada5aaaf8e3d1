"""Sending the series of a run to other tools, besides `metrics.jsonl`.

`exporter.py` says what an exporter is, `tracker.py` what experiment trackers have in common, and
`session.py` runs the exporters of a training. Each tool has a file of its own; `catalogue.py` lists
them. What an exporter writes is a copy: the run never depends on it.
"""

from counterpoint.runs.exporters.catalogue import EXPORTERS, exporter
from counterpoint.runs.exporters.exporter import Exporter, scalars

__all__ = ["EXPORTERS", "Exporter", "exporter", "scalars"]
