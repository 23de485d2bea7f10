"""What a design will cost, from a few of its samples solved and written."""

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lawbound.datasets import formats
from lawbound.datasets.config import Config
from lawbound.datasets.disk import file_size
from lawbound.datasets.family import Family
from lawbound.datasets.generate import solve_samples, told
from lawbound.solvers import SolverError

#: A sample that takes longer is not solved a second time, though the first may have compiled kernels.
LONG = 20.0


@dataclass(frozen=True)
class Estimate:
    """Cost of one sample: seconds on the clock, of all cores together, and bytes in memory and on disk."""

    seconds: float
    core_seconds: float
    memory: float
    disk: float
    looked_at: int

    def total(self, samples: int, jobs: int) -> float:
        """Seconds for so many samples on so many processes."""
        return samples * (self.seconds if jobs == 1 else self.core_seconds / jobs)


def estimate(family: Family, config: Config, form: formats.Name = "netcdf") -> Estimate:
    """Solve one sample, then up to eight spread over the design together; raises `SolverError` if none can be solved."""
    found = _measured(family, config, form, [0])
    if found.seconds < LONG:
        found = _measured(family, config, form, [0])
    if found.seconds < 0.5:
        count = min(8, config.samples, config.shard_size)
        spread = np.linspace(0, config.samples - 1, count).astype(int).tolist()
        found = _measured(family, config, form, spread)
    return found


def _measured(family: Family, config: Config, form: formats.Name, samples: list[int]) -> Estimate:
    clock, cores = time.perf_counter(), time.process_time()
    data, failed = solve_samples(family, config, samples)
    if data is None:
        raise SolverError(told(failed, len(samples)))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "sample"
        formats.write(data, file, form)
        disk = file_size(file)
    count = data.sizes["sample"]
    return Estimate(
        seconds=(time.perf_counter() - clock) / len(samples),
        core_seconds=(time.process_time() - cores) / len(samples),
        memory=data.nbytes / count,
        disk=disk / count,
        looked_at=len(samples),
    )
