"""From nothing to the report, in well under a minute: data, two surrogates, constraints, and a real network."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import xarray as xr

from lawbound.comparison import compare
from lawbound.datasets.generate import configure, generate_into
from lawbound.datasets.store import ShardRecord, write_text
from lawbound.datasets.store import open as open_dataset
from lawbound.evidence import Comparison
from lawbound.frozen import frozen
from lawbound.report import write_report
from lawbound.retrained import threads
from lawbound.runs import fit
from lawbound.surrogates.gaussian_process import GaussianProcess
from lawbound.surrogates.neural_process import AttentiveNeuralProcess
from lawbound.surrogates.surrogate import Learner, Surrogate

_MARK = "demo.json"
SAMPLES, NX, NT = 128, 200, 51

#: Small enough for two cores and half a minute; chosen on the validation split (docs/results.md).
LEARNERS: tuple[Learner, ...] = (
    GaussianProcess(kernel="matern-5/2", functions=16, iterations=25),
    AttentiveNeuralProcess(
        width=32,
        heads=2,
        dropout=0.0,
        normalise=True,
        epochs=12,
        batch=8,
        learning_rate=2e-3,
        clip_norm=100.0,
        validate_every=1,
        draws=50,
    ),
)


@dataclass(frozen=True)
class Demo:
    """What the demo made."""

    parts: tuple[tuple[str, Comparison], ...]
    files: tuple[Path, ...]


def demo(folder: str | Path, *, seed: int = 0, step: Callable[[str], Callable[[int, int], None]]) -> Demo:
    """Generate Stefan data, train, constrain, judge, and write `report.html` into a folder.

    `step(title)` announces a step and returns what takes its progress. An earlier demo in the folder is
    replaced; raises `ValueError` if the folder holds anything else.
    """
    where = Path(folder)
    family, config = configure("stefan", SAMPLES, seed=seed, nx=NX, nt=NT, shard_size=16)
    _claim(where)
    advance = step(f"Solving {SAMPLES} Stefan problems")
    solved: list[str] = []

    def on_shard(record: ShardRecord) -> None:
        solved.append(record.file)
        advance(len(solved), config.shards)

    generate_into(where / "data", family, config, on_shard=on_shard)
    data = open_dataset(where / "data")
    # These models are too small to share out; on a busy machine a second thread costs more than it gives.
    with threads(1):
        runs = {
            learner.name: _train(
                learner, data, where / "runs" / learner.name, seed, step(f"Training {learner.name}")
            )
            for learner in LEARNERS
        }
    trained = compare(runs, data, seed=seed, on_progress=step("Constraining and judging"))
    real = frozen("stefan", quick=True, on_progress=step("The same constraints on the original network"))
    parts = (
        ("Trained on the spot: a Gaussian process and a small neural process", trained),
        ("The real thing: ProbConserv's released network, frozen, under the same constraints", real),
    )
    step("Drawing the report")
    settings = {
        "data": config.model_dump(mode="json"),
        **{learner.name: dict(learner.options()) for learner in LEARNERS},
    }
    files = write_report(
        parts,
        where / "report.html",
        title="lawbound demo: the Stefan problem",
        config=settings,
        command=f"lawbound demo --seed {seed}",
    )
    return Demo(parts, tuple(files))


def _train(
    learner: Learner, data: xr.Dataset, folder: Path, seed: int, advance: Callable[[int, int], None]
) -> Surrogate:
    return fit(learner, data, seed=seed, folder=folder, on_progress=lambda p: advance(p.epoch, p.epochs))


def _claim(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file; give a folder that is new or empty (-o).")
    if folder.is_dir() and any(folder.iterdir()):
        if not (folder / _MARK).exists():
            raise ValueError(f"{folder} holds files and is not an earlier demo; give a new folder (-o).")
        for part in ("data", "runs"):
            shutil.rmtree(folder / part, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / _MARK, json.dumps({"made_by": "lawbound demo"}) + "\n")
