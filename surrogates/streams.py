"""Random streams that depend on a seed, a purpose and a number, and on nothing else."""

from zlib import crc32

import numpy as np


def stream(seed: int, purpose: str, number: int) -> np.random.Generator:
    """Independent random streams for each purpose and number."""
    return np.random.default_rng(
        np.random.SeedSequence(entropy=seed, spawn_key=(crc32(purpose.encode()), number))
    )


def member_seeds(seed: int, members: int) -> list[int]:
    """A seed for each member of an ensemble; those of two ensembles have nothing in common."""
    return [int(stream(seed, "member", i).integers(2**31)) for i in range(members)]
