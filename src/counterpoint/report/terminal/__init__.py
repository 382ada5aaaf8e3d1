"""Results as sentences and tables for a terminal, one file for each kind of result."""
