"""Networks that know, penalise or obey boundary values, side by side: accuracy inside and at the walls, and cost.

    python benchmarks/boundary_operators.py --out DIR [--device cuda] [--minutes 9] [--workers 6]
    python benchmarks/boundary_operators.py --out DIR --table

All contenders of a family see the same data, batches, schedule and highest wavenumbers. Each run leaves one JSON file in
DIR, so that a second call goes on where the first one stopped; `--table` prints what is there. `--small` is for a
machine without a GPU: fewer samples, points and epochs, and it says so in every file.
"""

import argparse
import json
import math
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr

import lawbound as lb
from lawbound.boundary_contenders import CONTENDERS
from lawbound.datasets import schema
from lawbound.datasets.layout import Layout
from lawbound.post_hoc import post_hoc


@dataclass(frozen=True)
class Case:
    """A family's data, what is known at its walls, and how long to train on it."""

    problem: str
    law: str | None
    parameters: tuple[tuple[str, float], ...] = ()
    fields: str = "u"
    nx: int = 256
    nt: int = 26
    samples: int = 500
    tested: int = 200
    epochs: int = 100
    batch: int = 20
    modes: int = 12
    width: int = 32
    seeds: int = 1
    base: str = "fno"  # what a contender that need not read walls is made of
    unprescribed: tuple[str, ...] = ()  # contenders beside the base where no wall is known

    @property
    def contenders(self) -> tuple[str, ...]:
        """Those that have something to do here."""
        if self.law is None:
            return (self.base, *self.unprescribed)
        several = len(self.fields.split()) > 1  # BOON corrects one field
        found = (
            "fno-bc",
            *(() if several else ("boon", "boon-corrected")),
            "penalty",
            "lift",
            "lift-zero-padding",
        )
        return found if self.base == "fno-bc" else (self.base, *found)

    @property
    def walls(self) -> str:
        """What is imposed, on all fields at once."""
        return "&".join(f"{self.law}(field={field})" for field in self.fields.split())


# Every flow in the cavity starts from rest, so that a network which does not read the lid knows nothing at all.
CASES = {
    "stokes-0.1": Case("stokes", "dirichlet", (("nu", 0.1),), seeds=3),
    "stokes-0.005": Case("stokes", "dirichlet", (("nu", 0.005),), seeds=3),
    "heat-neumann": Case("heat-neumann", "neumann", seeds=3),
    "burgers-random": Case("burgers-random", "dirichlet", samples=1000, seeds=3),
    "stokes-0.02": Case("stokes", "dirichlet", (("nu", 0.02),)),
    "stokes-0.002": Case("stokes", "dirichlet", (("nu", 0.002),)),
    "stokes-0.001": Case("stokes", "dirichlet", (("nu", 0.001),)),
    "burgers-dirichlet": Case("burgers-dirichlet", "dirichlet"),
    "heat-robin": Case("heat-robin", "robin"),
    "burgers-periodic": Case("burgers-periodic", None, nx=128, unprescribed=("mass-kept",)),
    "wave-2d": Case(
        "wave-2d", "neumann", nx=32, samples=300, tested=60, epochs=50, batch=10, modes=8, width=20
    ),
    "cavity-velocity": Case(
        "cavity", "dirichlet", (("reynolds", 100.0),), "u v", 32, 26, 300, 60, 50, 10, 8, 20, base="fno-bc"
    ),
    "cavity-u": Case(
        "cavity", "dirichlet", (("reynolds", 100.0),), "u", 32, 26, 300, 60, 50, 10, 8, 20, base="fno-bc"
    ),
    "cavity-vorticity": Case(
        "cavity",
        None,
        (("reynolds", 100.0),),
        "vorticity",
        32,
        26,
        300,
        60,
        50,
        10,
        8,
        20,
        base="fno-bc",
        unprescribed=("mirror",),
    ),
}


#: Contenders that are also told their walls after training.
AFTERWARDS = ("fno", "fno-bc", "lift")


@dataclass(frozen=True)
class Run:
    """One training."""

    case: str
    contender: str
    seed: int
    small: bool

    @property
    def file(self) -> str:
        """Where its figures are kept."""
        words = f"{self.case} {self.contender} {self.seed}"
        return "_".join(words.split()) + ".json"

    @property
    def setting(self) -> Case:
        """The case, or its small version."""
        case = CASES[self.case]
        if not self.small:
            return case
        plane = case.problem in ("wave-2d", "cavity")
        return replace(
            case, nx=16 if plane else 64, nt=9, samples=24, tested=8, epochs=2, batch=8, modes=4, width=8
        )


def runs(cases: list[str], contenders: list[str], seeds: list[int], small: bool) -> Iterator[Run]:
    """The first seed of all cases, then the second …, cheap contenders before dear ones."""
    for seed in seeds:
        for name in cases:
            case = CASES[name]
            if seed >= case.seeds:
                continue
            for contender in contenders:
                if contender in case.contenders:
                    yield Run(name, contender, seed, small)


def dataset(run: Run, folder: Path) -> Path:
    """The case's data, made once."""
    case = run.setting
    where = folder / "data" / f"{run.case}{'-small' if run.small else ''}"
    for split, count in (
        ("train", case.samples),
        ("valid", max(case.samples // 10, 4)),
        ("test", case.tested),
        ("calibrate", max(case.tested // 2, 8)),
    ):
        if (where / f"{split}.nc").exists():
            continue
        where.mkdir(parents=True, exist_ok=True)
        data = lb.generate(
            case.problem, count, split="in-range" if split == "calibrate" else split, nx=case.nx, nt=case.nt,
            parameters={name: (value, value) for name, value in case.parameters},
        )  # fmt: skip
        data.to_netcdf(where / f"{split}.tmp")
        (where / f"{split}.tmp").rename(where / f"{split}.nc")
    return where


def measured(run: Run, folder: Path, device: str) -> dict[str, Any]:
    """Train and judge one contender."""
    torch.set_num_threads(1 if device == "cuda" else torch.get_num_threads())
    case, contender, where = run.setting, CONTENDERS[run.contender], dataset(run, folder)
    train, valid, test = (xr.load_dataset(where / f"{split}.nc") for split in ("train", "valid", "test"))
    options = {
        "fields": case.fields, "epochs": case.epochs, "batch": case.batch, "modes": case.modes, "width": case.width,
    }  # fmt: skip
    begun = time.perf_counter()
    fitted = lb.fit(
        contender.learner(case.walls, case.base, **options), xr.concat([train, valid], "sample", data_vars="minimal"),
        seed=run.seed, device=device, unchecked=True,
    )  # fmt: skip
    trained = time.perf_counter() - begun
    found = {
        "case": run.case, "contender": run.contender, "seed": run.seed, "small": run.small, "setting": asdict(case),
        "options": {**options, **dict(contender.options)}, "constraint": contender.constraint, "parameters": weights_of(fitted), "training_s": trained,
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
    }  # fmt: skip
    prediction = fitted.predict(test)
    mean = prediction.mean.numpy()
    found |= {"scores": scores(mean, test, case), "forward_ms": forward_ms(fitted, test, case)}
    if case.law is not None and run.contender in AFTERWARDS:
        calibrate = xr.load_dataset(where / "calibrate.nc")
        found["post_hoc"] = after_training(fitted, prediction, calibrate, case)
    return found


def weights_of(fitted: Any) -> int:
    """Learned numbers, of complex ones both parts."""
    return sum(weights.numel() for weights in fitted.network.parameters())


def scores(mean: np.ndarray, test: xr.Dataset, case: Case) -> dict[str, float]:
    """Relative L2 over all points and over those inside, mean over samples, and the worst error at a wall."""
    layout = Layout.of(test, tuple(case.fields.split()))
    truth = layout.state(test)
    inside = np.ones(layout.shape, dtype=bool)
    for axis in range(len(layout.shape)):
        inside &= np.isin(np.arange(layout.shape[axis]), [0, layout.shape[axis] - 1], invert=True).reshape(
            [-1 if i == axis else 1 for i in range(len(layout.shape))]
        )
    interior = np.tile(inside.ravel(), len(layout.fields))
    error = mean - truth

    def relative(part: Any) -> float:
        return float(
            np.mean(
                np.linalg.norm(error[..., part], axis=(1, 2)) / np.linalg.norm(truth[..., part], axis=(1, 2))
            )
        )

    found = {"rel_l2": relative(slice(None)), "rel_l2_inside": relative(interior)}
    if case.law is not None:
        found["bc_max"] = worst_at_walls(mean, test, case)
    return found


def constraint_of(case: Case) -> Any:
    """The case's walls, all fields together."""
    kinds = {
        "dirichlet": lb.constraints.Dirichlet,
        "neumann": lb.constraints.Neumann,
        "robin": lb.constraints.Robin,
    }
    first, *others = (kinds[str(case.law)](field) for field in case.fields.split())
    for other in others:
        first = first & other
    return first


def worst_at_walls(mean: np.ndarray, data: xr.Dataset, case: Case) -> float:
    """The largest |L u − β|, in the walls' own units."""
    residual = constraint_of(case).on(data).residual(torch.from_numpy(mean))
    return float(np.nanmax(np.abs(np.asarray(residual))))


def forward_ms(fitted: Any, test: xr.Dataset, case: Case) -> float:
    """Milliseconds of predicting one batch, the network and its enforcement, median of ten."""
    part = test.isel({schema.SAMPLE: slice(case.batch)})
    times = []
    for _ in range(13):
        begun = time.perf_counter()
        fitted.predict(part)
        times.append(1e3 * (time.perf_counter() - begun))
    return statistics.median(times[3:])


def after_training(fitted: Any, prediction: Any, calibrate: xr.Dataset, case: Case) -> dict[str, Any]:
    """The frozen network told its walls, the way chosen on samples that neither trained nor judge it."""
    known = fitted.predict(calibrate)
    begun = time.perf_counter()
    chosen = post_hoc(known, torch.from_numpy(known.layout.state(calibrate)), constraint_of(case))
    seconds = time.perf_counter() - begun
    mean = chosen(prediction).prediction.mean.numpy()
    trust = chosen.residuals.why if chosen.residuals is not None else None
    return {
        "way": chosen.way, "length": chosen.length, "errors": dict(chosen.errors), "trust": trust, "choice_s": seconds,
        "scores": scores(mean, prediction.inputs, case),
    }  # fmt: skip


def compute(given: argparse.Namespace) -> None:
    """All runs that have no file yet, some at a time, until the time is over."""
    given.out.mkdir(parents=True, exist_ok=True)
    begun, limit = time.monotonic(), 60.0 * given.minutes
    wanted = [
        run
        for run in runs(given.cases, given.contenders, given.seeds, given.small)
        if not (given.out / run.file).exists()
    ]
    context = get_context("spawn")
    with ProcessPoolExecutor(given.workers, mp_context=context) as pool:
        made = {
            pool.submit(dataset, run, given.out): run.case
            for run in {run.case: run for run in wanted}.values()
        }
        for future, case in made.items():
            future.result()
            print(f"{time.monotonic() - begun:6.0f} s  data of {case}", flush=True)
        running: dict[Future[float], Run] = {}
        while wanted or running:
            while wanted and len(running) < given.workers and time.monotonic() - begun < limit:
                run = wanted.pop(0)
                running[pool.submit(kept, run, given.out, given.device)] = run
            if not running:
                print(f"The time is over; {len(wanted)} runs are left.", flush=True)
                break
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                run = running.pop(future)
                error = future.exception()
                said = f"failed: {error}" if error else f"rel. L2 {future.result():.4g}"
                print(f"{time.monotonic() - begun:6.0f} s  {run.file[:-5]}  {said}", flush=True)


def kept(run: Run, folder: Path, device: str) -> float:
    """Measure a run and keep what was found; its error."""
    found = measured(run, folder, device)
    new = folder / f"{run.file}.tmp"
    new.write_text(json.dumps(found, indent=1), encoding="utf-8")
    new.rename(folder / run.file)
    return float(found["scores"]["rel_l2"])


def table(folder: Path) -> str:
    """Markdown: a part for each case, a line for each contender, mean ± standard error over seeds."""
    found = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(folder.glob("*.json"))]
    lines = []
    for case in CASES:
        here = [one for one in found if one["case"] == case]
        if not here:
            continue
        small = " (small)" if here[0]["small"] else ""
        lines += ["", f"**{case}**{small}, {', '.join(sorted({one['device'] for one in here}))}", ""]
        lines += [
            "| | rel. L2 | inside | worst at walls | told walls afterwards | way | forward ms | training s | weights | seeds |"
        ]
        lines += ["|---|--:|--:|--:|--:|---|--:|--:|--:|--:|"]
        for name in CONTENDERS:
            these = [one for one in here if one["contender"] == name]
            if these:
                lines.append(_line(name, these))
    return "\n".join(lines)


def _line(name: str, these: list[dict[str, Any]]) -> str:
    def score(key: str, part: str | None = None) -> str:
        values = [(one.get(part, {}) if part else one).get("scores", {}).get(key) for one in these]
        return spread([value for value in values if value is not None])

    def middle(key: str) -> str:
        return f"{statistics.median(one[key] for one in these):.3g}"

    ways = sorted({one["post_hoc"]["way"] for one in these if "post_hoc" in one})
    cells = [
        name, score("rel_l2"), score("rel_l2_inside"), score("bc_max"), score("rel_l2", "post_hoc"), ", ".join(ways),
        middle("forward_ms"), middle("training_s"), f"{these[0]['parameters']:,}".replace(",", " "), str(len(these)),
    ]  # fmt: skip
    return "| " + " | ".join(cells) + " |"


def spread(values: list[float]) -> str:
    """Mean ± standard error."""
    if not values:
        return ""
    if len(values) == 1:
        return f"{values[0]:.3g}"
    return f"{statistics.mean(values):.3g} ± {statistics.stdev(values) / math.sqrt(len(values)):.1g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--contenders", nargs="+", choices=list(CONTENDERS), default=list(CONTENDERS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=math.inf)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--table", action="store_true")
    given = parser.parse_args()
    if not given.table:
        compute(given)
    print(table(given.out))


if __name__ == "__main__":
    main()
