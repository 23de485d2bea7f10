"""Whether a term for the equation's residual in the loss helps: error in and out of range, against its weight.

    python benchmarks/soft_constraint.py --out DIR [--minutes 4] [--seeds 3] [--only pme-fno]
    python benchmarks/soft_constraint.py --out DIR --table

Few training functions, for that is where such a term has most to say. Each run leaves a JSON file in DIR, so that a second call goes
on where the first one stopped. `--table` chooses the weight of each seed by the validation error, in which the term does
not count, and prints the errors on held-out functions at that weight, at 0 and at every weight of the ladder.
"""

import argparse
import json
import os
import statistics
import time
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr

import lawbound as lb
from lawbound.constraints import Equation
from lawbound.datasets.layout import Layout
from lawbound.datasets.split import of_split

WEIGHTS = (0.0, 0.0001, 0.001, 0.01, 0.1)
#: Of each family the parameter, its range in training, and the split that lies beyond.
CASES = {"diffusion": ("k", (1.0, 5.0), "shift-medium"), "pme": ("m", (2.0, 3.0), "shift-medium")}
LEARNERS: dict[str, dict[str, Any]] = {
    "fno": {"parameters": True, "epochs": 150, "batch": 10, "modes": 8, "width": 16, "blocks": 3},
    "anp": {"width": 32, "epochs": 300, "batch": 10, "learning_rate": 1e-3, "normalise": True, "draws": 20},
}
FORMS = ("integral", "cells")
TRAINED, TESTED, NX, NT = 25, 40, 50, 51


@dataclass(frozen=True)
class Run:
    """One training."""

    problem: str
    surrogate: str
    form: str
    weight: float
    seed: int

    @property
    def file(self) -> str:
        """Its result's."""
        return f"{self.problem}-{self.surrogate}-{self.form}-{self.weight:g}-{self.seed}.json"


def runs(seeds: int) -> list[Run]:
    """All of them; a weight of 0 has no form."""
    every = product(range(seeds), CASES, LEARNERS, FORMS, WEIGHTS)
    return [
        Run(problem, surrogate, form, weight, seed)
        for seed, problem, surrogate, form, weight in every
        if (weight > 0.0 or form == FORMS[0]) and (form == FORMS[0] or surrogate == "fno")
    ]


def data_of(problem: str) -> tuple[xr.Dataset, dict[str, xr.Dataset]]:
    """What is trained and chosen on, and held-out functions in and out of its range."""
    name, known, beyond = CASES[problem]
    grid: dict[str, Any] = {"nx": NX, "nt": NT, "seed": 0}
    trained = lb.generate(problem, TRAINED, parameters={name: known}, **grid)
    within = lb.generate(problem, TESTED, split="in-range", parameters={name: known}, **grid)
    return trained, {"in range": within, "out of range": lb.generate(problem, TESTED, split=beyond, **grid)}


def result(run: Run, trained: xr.Dataset, tested: dict[str, xr.Dataset]) -> dict[str, Any]:
    """Train and judge one."""
    seen: list[float] = []
    terms = [f"pde(form={run.form}):penalty(weight={run.weight})"] if run.weight > 0.0 else []
    began = time.process_time()
    fitted = lb.fit(
        run.surrogate, trained, seed=run.seed, options=LEARNERS[run.surrogate], constraints=terms,
        on_progress=lambda progress: seen.append(progress.valid),
    )  # fmt: skip
    seconds = time.process_time() - began
    found: dict[str, Any] = {**vars(run), "valid": min(seen), "seconds": seconds}
    for case, data in tested.items():
        mean, truth = fitted.predict(data).mean.numpy(), Layout.of(data, ("u",)).state(data)
        error = np.sqrt(((mean - truth) ** 2).sum((1, 2)) / (truth**2).sum((1, 2))).mean()
        (equation,) = Equation().on(data).evolutions
        found[case] = {"rel_l2": float(error), "missed": equation.share(mean)}
    return found


def train(out: Path, minutes: float, seeds: int, only: str) -> None:
    """What is not there yet and begins with `only`, as far as time allows."""
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    end, made = time.monotonic() + 60.0 * minutes, {problem: data_of(problem) for problem in CASES}
    for run in runs(seeds):
        path = out / run.file
        if path.exists() or not run.file.startswith(only):
            continue
        if time.monotonic() > end:
            print("time is up; call again to go on")
            return
        partial = path.with_suffix(".tmp")
        partial.write_text(json.dumps(result(run, *made[run.problem])), encoding="utf-8")
        os.replace(partial, path)


def table(out: Path) -> None:
    """Means and standard errors over seeds."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(out.glob("*.json"))]
    for problem, surrogate in product(CASES, LEARNERS):
        mine = [one for one in found if (one["problem"], one["surrogate"]) == (problem, surrogate)]
        free = {one["seed"]: one for one in mine if one["weight"] == 0.0}
        for form in FORMS:
            ladder = [one for one in mine if one["form"] == form and one["weight"] > 0.0]
            if not ladder:
                continue
            print(f"\n{problem}, {surrogate}, {form}")
            for weight in WEIGHTS:
                _line(f"{weight:g}", [one for one in (*free.values(), *ladder) if one["weight"] == weight])
            chosen = [
                min(
                    (free[seed], *(one for one in ladder if one["seed"] == seed)),
                    key=lambda one: one["valid"],
                )
                for seed in sorted(free)
            ]
            _line("chosen " + " ".join(f"{one['weight']:g}" for one in chosen), chosen)


def _line(name: str, some: list[dict[str, Any]]) -> None:
    def mean(values: list[float]) -> str:
        if len(values) == 1:  # which says nothing of its spread
            return f"{values[0]:.4g}"
        return f"{statistics.fmean(values):.4g} ± {statistics.stdev(values) / len(values) ** 0.5:.1g}"

    if some:
        cells = [mean([one["valid"] for one in some])]
        for case in ("in range", "out of range"):
            cells += [mean([one[case][what] for one in some]) for what in ("rel_l2", "missed")]
        seconds = statistics.fmean(one["seconds"] for one in some)
        print(f"| {name} | {' | '.join(cells)} | {seconds:.0f} s |  n={len(some)}")


def shares() -> None:
    """What the solvers' own data miss of their equations, on the families' default grids."""
    for problem in ("diffusion", "pme", "stefan", "advection", "burgers-inviscid", "burgers-periodic"):
        data = lb.generate(problem, 10, seed=0)
        u = of_split(data, "train").u.values.astype(np.float64)
        for after in (None, 0.005) if problem == "stefan" else (None,):
            each = [
                Equation(form=form, after=after).on(of_split(data, "train")).evolutions[0].share(u)
                for form in FORMS
            ]
            print(
                f"| `{problem}`{'' if after is None else f', after={after}'} | {each[0]:.2g} | {each[1]:.2g} |"
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=4.0)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", default="", help="results whose file begins so, such as pme-fno")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--shares", action="store_true")
    given = parser.parse_args()
    if given.table:
        table(given.out)
    elif given.shares:
        shares()
    else:
        train(given.out, given.minutes, given.seeds, given.only)
