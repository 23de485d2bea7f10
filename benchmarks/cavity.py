"""How exact and how fast the cavity's solvers are: accepted extrema, convergence in modes and steps, and a batch of the family's kind.

    python benchmarks/cavity.py [--quick] [--markdown FILE]

The lid of constant speed is solved for its steady flow; extrema are those of u on x = 1/2 and of v on y = 1/2 among 4001 points,
refined by a parabola, against the accepted ones (O. Botella, R. Peyret, Computers & Fluids 27, 1998, for Re = 1000; for Re = 100
their digits are attributed variously). Without accepted values the flow of more modes stands in for them. In time, the lid is
16 x² (1 − x)² with a smooth start and a speed that varies; errors are those of the largest difference from a finer run on 100²
equally spaced points at all output times, relative to the largest value. Times are the best of three warm runs, but one run beyond a second.
A minute on one core; --quick takes seconds.
"""

import argparse
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from lawbound.solvers import (
    NavierStokes,
    Nodes,
    NoSlip,
    Problem,
    Rectangle,
    ResolutionWarning,
    Trajectory,
    Walls,
)
from lawbound.solvers.cavity import SpectralCavity
from lawbound.solvers.cavity_steady import SteadyCavity, SteadyFlow
from lawbound.solvers.compiled import use_threads
from lawbound.solvers.walls import WallValue

FloatArray = NDArray[np.float64]
Answer = TypeVar("Answer")

ACCEPTED = {
    100.0: np.array([-0.2140424, 0.1795728, -0.2538030]),
    1000.0: np.array([-0.3885698, 0.3769447, -0.5270771]),
}


def cavity(reynolds: float, lid: WallValue, times: FloatArray, n: int = 100) -> Problem:
    side = Nodes(0.0, 1.0, n)
    walls = Walls(NoSlip(), NoSlip(), NoSlip(), NoSlip(lid))
    return Problem("cavity", NavierStokes(reynolds), Rectangle(side, side), walls, 0.0, times)


def moving(seed: int) -> WallValue:
    """A lid whose speed is 1 and a random series, rms 1/2, after a start in 0.3."""
    random = np.random.default_rng(seed)
    frequency, phase = 4.0 * random.normal(size=12), random.uniform(0.0, 2.0 * np.pi, 12)

    def lid(t: FloatArray, x: FloatArray) -> FloatArray:
        wave = np.cos(np.multiply.outer(t, frequency) + phase).sum(axis=-1)
        speed = (1.0 + 0.5 * np.sqrt(2.0 / 12.0) * wave) * -np.expm1(-((t / 0.3) ** 4))
        return np.asarray(speed * 16.0 * x**2 * (1.0 - x) ** 2)

    return lid


def timed(run: Callable[[], Answer]) -> tuple[Answer, float]:
    """What a run gives, and the seconds of the best of three."""
    answer, took = run(), []
    while len(took) < 3:
        began = time.perf_counter()
        answer = run()
        took.append(time.perf_counter() - began)
        if took[-1] > 1.0:
            break
    return answer, min(took)


def extrema(flow: SteadyFlow) -> FloatArray:
    """u_min, v_max, v_min on the centre lines."""
    s, half = np.linspace(0.0, 1.0, 4001), np.array([0.5])
    u, v = flow.fields(half, s)["u"][:, 0], flow.fields(s, half)["v"][0]

    def refined(values: FloatArray, i: int) -> float:
        a, b, c = values[i - 1 : i + 2]
        return float(b - (a - c) ** 2 / (8.0 * (a - 2.0 * b + c)))

    return np.array([refined(u, int(u.argmin())), refined(v, int(v.argmax())), refined(v, int(v.argmin()))])


def steady(quick: bool) -> Iterator[str]:
    yield "| Re | modes | u_min | v_max | v_min | largest deviation | seconds | linear iterations | divergence |"
    yield "|---|---|---|---|---|---|---|---|---|"
    cases: dict[float, list[int | None]] = {
        1.0: [16, None],
        100.0: [12, 16, 24, 32, 48],
        400.0: [None],
        1000.0: [24, 32, 48, 64],
    }
    if not quick:
        cases |= {1000.0: [24, 32, 48, 64, 96], 5000.0: [48, 64, None, 96], 10_000.0: [None]}
    times = np.array([0.0, 1.0])
    for reynolds, sizes in cases.items():
        flows = [
            timed(lambda m=m, re=reynolds: SteadyCavity(modes=m).solve(cavity(re, 1.0, times))) for m in sizes
        ]  # type: ignore[misc]
        found = [extrema(flow) for flow, _ in flows]
        right = ACCEPTED.get(reynolds, found[-1])
        for (flow, took), numbers in zip(flows, found, strict=True):
            off = (
                f"{np.abs(numbers - right).max():.1e}" if reynolds in ACCEPTED or numbers is not right else ""
            )
            u_min, v_max, v_min = numbers
            yield (
                f"| {reynolds:g} | {flow.basis.degree} | {u_min:.7f} | {v_max:.7f} | {v_min:.7f} | {off} | {took:.3f} "
                f"| {flow.iterations} | {flow.divergence:.0e} |"
            )


def fields(run: Trajectory) -> dict[str, FloatArray]:
    return {"u": run.state, **run.others}


def errors(run: Trajectory, fine: Trajectory) -> str:
    pairs = zip(fields(run).values(), fields(fine).values(), strict=True)
    return " | ".join(f"{np.abs(a - b).max() / np.abs(b).max():.0e}" for a, b in pairs)


def budget(run: Trajectory) -> float:
    """By how much the energy is off, relative to the work of the walls."""
    d = run.diagnostics
    return float(np.abs(d["energy"] - d["energy"][0] - d["work"] + d["dissipated"]).max() / d["work"].max())


def in_time(quick: bool) -> Iterator[str]:
    yield "| Re | modes | pace | steps | seconds | u | v | p | vorticity | streamfunction | energy budget | tail |"
    yield "|---|---|---|---|---|---|---|---|---|---|---|---|"
    times = np.linspace(0.0, 2.0, 26)
    for reynolds in (200.0,) if quick else (50.0, 200.0, 1000.0):
        given = cavity(reynolds, moving(0), times)
        fine = SpectralCavity(modes=80, tolerance=1e-9).solve(given)
        solvers = [SpectralCavity(modes=n, tolerance=1e-8) for n in (24, 32, 40, 48, 56)]
        close = SpectralCavity(modes=40, tolerance=1e-10).solve(given)
        paced = [SpectralCavity(modes=40, tolerance=t) for t in (1e-5, 1e-6, 1e-7, 1e-8)]
        paced += [SpectralCavity(modes=40, step=h) for h in (1 / 100, 1 / 200, 1 / 400)]
        for solver, reference in [(s, fine) for s in solvers] + [(s, close) for s in paced]:
            run, took = timed(lambda s=solver, g=given: s.solve(g))  # type: ignore[misc]
            pace = f"tolerance {solver.tolerance:g}" if solver.step is None else f"step {solver.step:g}"
            yield (
                f"| {reynolds:g} | {solver.modes} | {pace} | {run.steps} | {took:.3f} | {errors(run, reference)} | {budget(run):.0e} "
                f"| {run.diagnostics['tail'].max():.0e} |"
            )


def batch(quick: bool) -> Iterator[str]:
    count = 8 if quick else 64
    yield f"| {count} samples, Re from 50 to 200, t = 2, 51 outputs on 100² | threads | seconds a sample | minutes for 1200 | largest budget |"
    yield "|---|---|---|---|---|"
    times, random = np.linspace(0.0, 2.0, 51), np.random.default_rng(0)
    problems = [cavity(re, moving(i), times) for i, re in enumerate(random.uniform(50.0, 200.0, count))]
    for solver in (SpectralCavity(), SpectralCavity(tolerance=1e-6), SpectralCavity(modes=40)):
        for threads in (1, 2):
            use_threads(threads)
            solver.solve_batch(problems[:2])
            began = time.perf_counter()
            runs = solver.solve_batch(problems)
            each = (time.perf_counter() - began) / count
            worst = max(budget(run) for run in runs)
            yield f"| {solver.name} | {threads} | {each:.3f} | {20.0 * each:.1f} | {worst:.0e} |"


def main() -> None:
    parser = argparse.ArgumentParser(description="accuracy and speed of the cavity's solvers")
    parser.add_argument("--quick", action="store_true", help="fewer cases")
    parser.add_argument("--markdown", type=Path, help="write the tables to this file too")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ResolutionWarning)  # coarse runs are the point
    lines = []
    for table in (steady, in_time, batch):
        for line in table(arguments.quick):
            print(line, flush=True)
            lines.append(line)
        print()
        lines.append("")
    if arguments.markdown:
        arguments.markdown.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
