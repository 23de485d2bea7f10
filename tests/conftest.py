"""Small datasets that several tests share, and how property tests run."""

import pytest
from hypothesis import settings

import lawbound as lb

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
