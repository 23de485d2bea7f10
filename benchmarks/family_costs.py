"""What a sample of each family costs: the table of datasets/costs.py.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/family_costs.py [FAMILY ...]

Seconds of one core to draw, solve and label a sample at the family's defaults, in a batch of the split train as shards have
them; the least of a few batches. Processor time of all threads together changes little with what else the machine does.
"""

import sys
import time

from lawbound.datasets.config import configure
from lawbound.datasets.generate import solve_samples
from lawbound.datasets.plugins import load_all
from lawbound.solvers.compiled import use_threads

BATCH, LONG, TRIES = 64, 0.05, 4


def cost(name: str) -> float:
    family, config = configure(name, BATCH, split="train")
    solve_samples(family, config, range(2))  # compiles what needs it
    began = time.process_time()
    solve_samples(family, config, range(2))
    batch = range(16 if (time.process_time() - began) / 2 > LONG else BATCH)
    spent = []
    for _ in range(TRIES):
        began = time.process_time()
        _, failed = solve_samples(family, config, batch)
        spent.append((time.process_time() - began) / len(batch))
        assert not failed, failed
    return min(spent)


if __name__ == "__main__":
    use_threads(1)
    print("CORE_SECONDS = {")
    for name in sys.argv[1:] or load_all("problems"):
        print(f'    "{name}": {cost(name):.2g},', flush=True)
    print("}")
