"""Accuracy and calibration of every surrogate on every family, in the range of training and out of it, over seeds.

    python benchmarks/accuracy.py --device cuda --workers 8 --minutes 7 --out OUT    # again, until all is done
    python benchmarks/accuracy.py --out OUT --table                                  # the tables, from what is there

A family's surrogates are trained on its split `shift-train` and judged on other samples of it (`in-range`) and on
`shift-small`, `shift-medium` and `shift-large`, whose parameters were never seen. Data are the same for all; the seed decides
weights and order. Operators read the first state, positions, the problem's parameters and, but for `fno`, what walls
prescribe; `gp` and `anp` read 10 × 10 points of each function instead, and no parameter. `fno-nll`, `fno-dropout` and
`fno-laplace` are `fno-bc` (`fno` where no wall prescribes anything) with other ways to tell their errors.

Scores are over all times but the first, moments as Gaussians: relative L2 (mean over fields), MSE, CRPS, coverage of 95 %
intervals, n-MeRCI, and Spearman's correlation of error and predicted standard deviation, over samples (ρ: root mean
squares of each sample) and over the points of a sample (ρ in sample). `all` has the samples of all four splits together.

OUT keeps data/FAMILY/SPLIT.nc and runs/FAMILY/SURROGATE-SEED.json; what is there with the same settings is not made again.
"""

import argparse
import json
import os
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import asdict, dataclass
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr

import lawbound as lb
from lawbound import scores
from lawbound.datasets import schema
from lawbound.datasets.disk import write_text
from lawbound.datasets.store import read, write
from lawbound.solvers.compiled import use_threads
from lawbound.surrogates.deep_operator import DeepOperatorNetwork
from lawbound.surrogates.diverse import DiverseFourierOperator
from lawbound.surrogates.ensemble import FourierEnsemble
from lawbound.surrogates.fourier_surrogate import FourierNeuralOperator, FourierNeuralOperatorWithWalls
from lawbound.surrogates.gaussian_process import GaussianProcess
from lawbound.surrogates.neural_process import AttentiveNeuralProcess
from lawbound.surrogates.origin import walls_of
from lawbound.surrogates.surrogate import Learner

#: The first six come first, planes last.
FAMILIES = (
    "diffusion", "pme", "stefan", "burgers-random", "stokes", "heat-neumann", "advection", "burgers-inviscid",
    "heat-dirichlet", "heat-robin", "wave", "burgers-periodic", "burgers-dirichlet", "pme-2d", "wave-2d", "cavity",
)  # fmt: skip
FIRST, PLANES = 6, ("pme-2d", "wave-2d", "cavity")
SURROGATES = (
    "fno", "fno-bc", "fno-nll", "fno-dropout", "fno-laplace", "ensemble", "diverse-fno", "deeponet", "gp", "anp",
)  # fmt: skip
SPLITS = {"in-range": "shift-train", "small": "shift-small", "medium": "shift-medium", "large": "shift-large"}
METRICS = {
    "rel_l2": "relative L2", "mse": "MSE", "crps": "CRPS", "coverage95": "coverage 95 %", "n_merci": "n-MeRCI",
    "rho": "ρ", "rho_points": "ρ in sample",
}  # fmt: skip
AT_ONCE = 20  # samples judged at once: bounds memory


@dataclass(frozen=True)
class Settings:
    """What decides a run besides family, surrogate and seed."""

    functions: int
    valid: int
    test: int
    nx: int
    nt: int
    epochs: int

    def of(self, family: str) -> "Settings":
        """The same; on a plane fewer functions, points and times."""
        if family not in PLANES:
            return self
        return Settings(
            max(2, self.functions // 4), max(1, self.valid // 4), max(3, self.test // 2), max(8, self.nx // 4),
            max(4, 1 + (self.nt - 1) // 2), self.epochs,
        )  # fmt: skip


@dataclass(frozen=True)
class Run:
    """One training."""

    family: str
    surrogate: str
    seed: int

    def path(self, out: Path) -> Path:
        return out / "runs" / self.family / f"{self.surrogate}-{self.seed}.json"

    def __str__(self) -> str:
        return f"{self.family} {self.surrogate} {self.seed}"


def learner(name: str, walls: bool, settings: Settings) -> Learner:
    """How a surrogate is trained here."""
    common: dict[str, Any] = {"parameters": True, "epochs": settings.epochs, "batch": 20, "clip_norm": 10.0}
    single = FourierNeuralOperatorWithWalls if walls else FourierNeuralOperator
    made: dict[str, Callable[[], Learner]] = {
        "fno": lambda: FourierNeuralOperator(**common),
        "fno-bc": lambda: FourierNeuralOperatorWithWalls(**common),
        "fno-nll": lambda: single(**common, uncertainty="variance", loss="nll"),
        "fno-dropout": lambda: single(**common, uncertainty="dropout", dropout=0.1, draws=10),
        "fno-laplace": lambda: single(**common, uncertainty="laplace"),
        "ensemble": lambda: FourierEnsemble(**common, size=10, walls=walls),
        "diverse-fno": lambda: DiverseFourierOperator(**common, heads=10, walls=walls),
        "deeponet": lambda: DeepOperatorNetwork(**common, walls=walls),
        "gp": lambda: GaussianProcess(),
        # Each epoch shows new target points, and a step costs little.
        "anp": lambda: AttentiveNeuralProcess(
            width=64, normalise=True, epochs=4 * settings.epochs, batch=32, learning_rate=1e-3, clip_norm=100.0,
            draws=20,
        ),
    }  # fmt: skip
    return made[name]()


def refused(name: str, data: xr.Dataset) -> str | None:
    """Why a surrogate cannot be trained on such data."""
    if name == "fno-bc" and not walls_of(data):
        return "no wall prescribes anything"
    if name in ("gp", "anp"):
        if len(schema.axes(data)) > 1:
            return "for fields on a line only"
        if len(schema.state_variables(data)) > 1:
            return "for one field only"
    return None


def data_path(out: Path, family: str, settings: Settings, split: str) -> Path:
    s = settings.of(family)
    name = f"{split}-{s.functions}-{s.valid}-{s.test}-{s.nx}-{s.nt}.nc"
    return out / "data" / family / name


def make_data(out: Path, family: str, settings: Settings, split: str) -> None:
    """Solve one split's problems; of `in-range` those to train and to choose on come first."""
    s = settings.of(family)
    count = s.test + (s.functions + s.valid if split == "in-range" else 0)
    data = lb.generate(family, count, split=SPLITS[split], nx=s.nx, nt=s.nt)
    path = data_path(out, family, settings, split)
    path.parent.mkdir(parents=True, exist_ok=True)
    write(data, path)


@lru_cache(maxsize=4)
def stored(path: Path) -> xr.Dataset:
    return read(path)


def parts(out: Path, family: str, settings: Settings) -> dict[str, xr.Dataset]:
    """Samples to train, choose and judge on."""
    s, found = settings.of(family), {}
    for split in SPLITS:
        data = stored(data_path(out, family, settings, split))
        if split == "in-range":
            ends = (s.functions, s.functions + s.valid)
            found["train"] = data.isel({schema.SAMPLE: slice(ends[0])})
            found["valid"] = data.isel({schema.SAMPLE: slice(*ends)})
            data = data.isel({schema.SAMPLE: slice(ends[1], None)})
        found[split] = data
    return found


def work(out: Path, run: Run, settings: Settings, device: str) -> str:
    """Train and judge; what is found is kept in the run's file."""
    data = parts(out, run.family, settings)
    reason = refused(run.surrogate, data["train"])
    found: dict[str, Any] = {**asdict(run), "settings": asdict(settings)}
    began = time.perf_counter()
    if reason is None:
        chosen = learner(run.surrogate, bool(walls_of(data["train"])), settings)
        where = "cpu" if run.surrogate == "gp" else device
        fitted = chosen.fit(data["train"], data["valid"], seed=run.seed, device=where)
        found |= {
            "options": dict(chosen.options()),
            "device": where,
            "fit_seconds": time.perf_counter() - began,
        }
        judged = {split: judge(fitted, data[split]) for split in SPLITS}
        found["samples"] = {split: {k: v.tolist() for k, v in one.items()} for split, one in judged.items()}
        judged["all"] = {k: np.concatenate([one[k] for one in judged.values()]) for k in judged["in-range"]}
        found["scores"] = {split: summary(one) for split, one in judged.items()}
        told = f"relative L2 {found['scores']['in-range']['rel_l2']:.3g}"
    else:
        found["skipped"] = told = reason
    found["seconds"] = time.perf_counter() - began
    path = run.path(out)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(found) + "\n")
    return f"{told}, {found['seconds']:.0f} s"


def judge(fitted: Any, data: xr.Dataset) -> dict[str, np.ndarray]:
    """Scores of each sample."""
    pieces = [
        _judged(fitted, data.isel({schema.SAMPLE: slice(i, i + AT_ONCE)}))
        for i in range(0, data.sizes[schema.SAMPLE], AT_ONCE)
    ]
    return {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}


def _judged(fitted: Any, data: xr.Dataset) -> dict[str, np.ndarray]:
    prediction = fitted.predict(data, times=np.arange(1, data.sizes[schema.TIME]))
    layout = prediction.layout
    truth = layout.state(data)[:, 1:]
    mean, variance = prediction.mean.numpy(), prediction.variance.numpy()
    of_fields = [
        scores.relative_l2(*(values[..., layout.part(field)].reshape(len(truth), -1) for values in (mean, truth)))
        for field in layout.fields
    ]  # fmt: skip
    mean, variance, truth = (values.reshape(len(truth), -1) for values in (mean, variance, truth))
    error = np.abs(mean - truth)
    return {
        "rel_l2": np.mean(of_fields, axis=0),
        "mse": scores.mse(mean, truth),
        "crps": scores.gaussian_crps(mean, variance, truth),
        "coverage95": scores.coverage(mean, variance, truth, np.array([0.95]))[:, 0],
        "rho_points": scores.rank_correlation(error, variance),
        "rms_error": np.sqrt((error**2).mean(-1)),
        "rms_std": np.sqrt(variance.mean(-1)),
        "sum_error": error.sum(-1),
        "root_sum_variance": np.sqrt(variance.sum(-1)),
    }


def summary(judged: dict[str, np.ndarray]) -> dict[str, float | None]:
    """A number for each metric; None where it is not defined."""
    found = {
        name: float(judged[name].mean()) for name in ("rel_l2", "mse", "crps", "coverage95", "rho_points")
    }
    found["rho"] = float(scores.rank_correlation(judged["rms_error"], _plain(judged["rms_std"])))
    found["n_merci"] = scores.n_merci(judged["sum_error"], judged["root_sum_variance"])
    return {name: value if np.isfinite(value) else None for name, value in found.items()}


def _plain(values: np.ndarray) -> np.ndarray:
    """Without the last digits, so that what is equal but for round-off has no ranks."""
    return np.asarray([float(f"{value:.6g}") for value in values])


def done(out: Path, run: Run, settings: Settings) -> bool:
    try:
        kept = json.loads(run.path(out).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return False
    return bool(kept["settings"] == asdict(settings))


def ordered(families: Sequence[str], surrogates: Sequence[str], seeds: Sequence[int]) -> Iterator[Run]:
    """What matters most first: the first families with all seeds, then other lines, then planes."""
    groups = (FAMILIES[:FIRST], tuple(f for f in FAMILIES[FIRST:] if f not in PLANES), PLANES)
    for group in groups:
        for seed in seeds:
            for family in group:
                for surrogate in surrogates:
                    if family in families:
                        yield Run(family, surrogate, seed)


def begin(threads: int) -> None:
    torch.set_num_threads(threads)
    use_threads(threads)


def complete(out: Path, runs: Sequence[Run], settings: Settings, asked: argparse.Namespace) -> list[str]:
    """Make data and runs, several at a time, none after the time is over; what failed."""
    began, failed = time.monotonic(), []
    left = [run for run in runs if not done(out, run, settings)]
    families = list(dict.fromkeys(run.family for run in left))
    missing = [
        (family, split)
        for family in families
        for split in SPLITS
        if not data_path(out, family, settings, split).exists()
    ]
    waiting: list[tuple[str, str] | Run] = [*missing, *left]
    unmade = set(missing)
    threads = max(1, (os.cpu_count() or 1) // asked.workers)
    print(f"{len(left)} of {len(runs)} runs to do, {len(missing)} splits to solve first", flush=True)
    running: dict[Future[Any], tuple[str, str] | Run] = {}
    with ProcessPoolExecutor(asked.workers, get_context("spawn"), begin, (threads,)) as pool:

        def start(task: tuple[str, str] | Run) -> None:
            work_of = (
                pool.submit(work, out, task, settings, asked.device)
                if isinstance(task, Run)
                else pool.submit(make_data, out, task[0], settings, task[1])
            )
            running[work_of] = task

        while True:
            late = time.monotonic() - began > 60 * asked.minutes
            blocked = {family for family, _ in unmade}
            ready = [task for task in waiting if not (isinstance(task, Run) and task.family in blocked)]
            for task in [] if late else ready[: asked.workers - len(running)]:
                waiting.remove(task)
                start(task)
            if not running:
                break
            for future in wait(running, timeout=5, return_when=FIRST_COMPLETED).done:
                task = running.pop(future)
                name = str(task) if isinstance(task, Run) else " ".join(task)
                try:
                    told = future.result()
                except Exception as error:  # of one run: the others still count
                    failed.append(f"{name}: {error!r}")
                    told = "failed: " + "".join(traceback.format_exception(error))
                else:
                    unmade.discard(task)  # type: ignore[arg-type]
                print(f"{time.monotonic() - began:6.0f} s  {name}: {told or 'solved'}", flush=True)
    print(f"{sum(isinstance(task, Run) for task in waiting)} runs are left", flush=True)
    return failed


def table(out: Path, family: str, surrogates: Sequence[str], seeds: Sequence[int]) -> str:
    """Markdown: a row for each split and surrogate, mean ± standard error over seeds."""
    lines, skipped, settings = [], [], None
    kept: dict[str, list[dict[str, Any]]] = {}
    for surrogate in surrogates:
        paths = [Run(family, surrogate, seed).path(out) for seed in seeds]
        found = [json.loads(path.read_text(encoding="utf-8")) for path in paths if path.exists()]
        if found and "skipped" in found[0]:
            skipped.append(f"{surrogate}: {found[0]['skipped']}")
        elif found:
            kept[surrogate] = found
            settings = found[0]["settings"]
    if settings is None:
        return ""
    s = Settings(**settings).of(family)
    lines += [
        f"\n### {family}\n",
        f"{s.functions} functions, {s.nx} points{' a side' if family in PLANES else ''}, {s.nt} times, {s.epochs} epochs, {s.test} "
        "samples a split. " + (f"Not there: {'; '.join(skipped)}." if skipped else ""),
        "",
        f"| split | surrogate | seeds | {' | '.join(METRICS.values())} | s |",
        "|---|---|--:|" + "--:|" * (len(METRICS) + 1),
    ]
    for split in (*SPLITS, "all"):
        for surrogate, found in kept.items():
            cells = [shown([one["scores"][split][metric] for one in found]) for metric in METRICS]
            seconds = np.mean([one["seconds"] for one in found])
            lines.append(f"| {split} | {surrogate} | {len(found)} | {' | '.join(cells)} | {seconds:.0f} |")
    return "\n".join(lines)


def shown(values: Sequence[float | None]) -> str:
    """Mean ± standard error."""
    known = np.array([value for value in values if value is not None])
    if known.size < len(values) or not known.size:
        return "–"
    if known.size == 1:
        return f"{known[0]:.3g}"
    return f"{known.mean():.3g} ± {known.std(ddof=1) / np.sqrt(known.size):.1g}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--families", nargs="+", choices=FAMILIES, default=list(FAMILIES), metavar="FAMILY")
    parser.add_argument(
        "--surrogates", nargs="+", choices=SURROGATES, default=list(SURROGATES), metavar="NAME"
    )
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("-n", "--functions", type=int, default=512, help="to train on; on a plane a quarter")
    parser.add_argument(
        "--test", type=int, default=100, help="samples of each split to judge on; on a plane half"
    )
    parser.add_argument("--nx", type=int, default=128, help="points; on a plane a quarter, each way")
    parser.add_argument("--nt", type=int, default=26, help="times; on a plane half")
    parser.add_argument("--workers", type=int, default=4, help="processes that share the device")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="start nothing after so many")
    parser.add_argument("--out", type=Path, default=Path("build/accuracy"))
    parser.add_argument("--table", action="store_true", help="print what is there, and make nothing")
    asked = parser.parse_args()
    settings = Settings(
        asked.functions, max(8, asked.functions // 8), asked.test, asked.nx, asked.nt, asked.epochs
    )
    failed: list[str] = []
    if not asked.table:
        runs = list(ordered(asked.families, asked.surrogates, asked.seeds))
        failed = complete(asked.out, runs, settings, asked)
    tables = [table(asked.out, family, asked.surrogates, asked.seeds) for family in asked.families]
    print("\n".join(one for one in tables if one))
    if failed:
        raise SystemExit("\nFailed:\n" + "\n".join(failed))


if __name__ == "__main__":
    main()
