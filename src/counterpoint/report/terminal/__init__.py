"""Results as sentences and tables for a terminal: start at `parts.py`."""
