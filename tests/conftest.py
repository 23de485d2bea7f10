"""Small datasets that several tests share, and how property tests run."""

import hashlib
import os
from pathlib import Path

# numba finds cached kernels by the file they stand in, not by the files whose functions they inline. A cache
# named after all of the solvers' sources can never be stale; it must be chosen before numba is imported.
ROOT = Path(__file__).resolve().parents[1]
SOURCES = b"".join(path.read_bytes() for path in sorted((ROOT / "solvers").glob("*.py")))
if SOURCES:
    cache = ROOT / "build" / "numba" / hashlib.sha256(SOURCES).hexdigest()[:16]
    os.environ.setdefault("NUMBA_CACHE_DIR", str(cache))

import pytest  # noqa: E402
import torch  # noqa: E402
from hypothesis import settings  # noqa: E402

import lawbound as lb  # noqa: E402

# Timing is never tested: compilation and a busy machine would fail it. The same examples every time.
settings.register_profile("lawbound", deadline=None, derandomize=True, max_examples=30)
settings.load_profile("lawbound")

# Tests run side by side, and the last bits of a network depend on the number of threads.
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def stefan():
    """Stefan data small enough to make in a moment: 24 train, 3 valid, 3 test samples."""
    return lb.generate("stefan", 30, nx=40, nt=21, seed=1)


@pytest.fixture(scope="session")
def stefan_test():
    """The published test values 0.6 and 0.5 in turn."""
    return lb.generate("stefan", 4, split="test", nx=40, nt=21, seed=1)
