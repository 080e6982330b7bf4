"""One thread for linear algebra; imports nothing, so that it can be asked for before numpy loads."""

from __future__ import annotations

import os


def one_thread() -> None:
    """Keep linear algebra to one thread: the products of a calibration are small, threads would only wait.

    What the user has set stays. Must be called before numpy is imported.
    """
    for library in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(library, "1")
