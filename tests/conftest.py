"""What holds for every test.

Each process computes with one thread: the tests run side by side, and so do what they start. An
example of hypothesis has no deadline, because a busy machine is no fault of the code.
"""

import os

import pytest
from hypothesis import settings

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

settings.register_profile("counterpoint", deadline=None)
settings.load_profile("counterpoint")


@pytest.fixture(scope="module")
def browser():
    """A running Chromium; the test is skipped where there is none."""
    pytest.importorskip("playwright.sync_api")
    from browser_tabs import launched

    with launched() as running:
        yield running
