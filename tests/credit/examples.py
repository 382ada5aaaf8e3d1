"""How many examples a law is tried on: few in `make test`, many in `make test-all`."""

from __future__ import annotations

import os

EXAMPLES = int(os.environ.get("COUNTERPOINT_EXAMPLES", "50"))
"""Examples of each property test of the credit room."""
