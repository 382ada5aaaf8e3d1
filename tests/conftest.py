"""What holds for every test.

Each process computes with one thread: the tests run side by side, and so do what they start. An
example of hypothesis has no deadline, because a busy machine is no fault of the code.
"""

import os

from hypothesis import settings

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

settings.register_profile("counterpoint", deadline=None)
settings.load_profile("counterpoint")
