"""How fast the spectral solvers are, beside exponax and Dedalus at equal error.

    pip install jax exponax dedalus numpy scipy numba rich      # in an environment of its own; Dedalus needs MPI and FFTW
    python benchmarks/spectral.py [--only w1 w4 w5 batch] [--json FILE] [--markdown FILE]

Every case runs in a process of its own, on one thread unless it says two. `cold` is the first solve of that process,
imports not counted; `warm` the median, and in brackets the fastest, of those that follow, a sample. A ratio compares, of
several options on either side, the fastest that meets the error. All are given an initial state and asked for the one at the end. In
a batch 256 states are solved together. What is not installed is reported and left out. Five minutes.
"""

import argparse
import importlib
import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))  # Python does not look beside the script where it was told to be safe

from peers.spectral_workloads import workload  # noqa: E402

OURS, EXPONAX, DEDALUS = "lawbound", "exponax", "dedalus"
MODULES = {OURS: "spectral_lawbound", EXPONAX: "with_exponax", DEDALUS: "with_dedalus"}


@dataclass(frozen=True)
class Case:
    """One contender with its options at one workload."""

    work: str
    family: str
    options: dict[str, Any] = field(default_factory=dict)
    threads: int = 1

    @property
    def batch(self) -> int:
        return int(self.options.get("batch", 1))


@dataclass(frozen=True)
class Goal:
    """How many times as fast as a peer, both meeting `error`."""

    text: str
    work: str
    peer: str
    error: float
    need: float
    reach: float
    batch: int = 1
    threads: int = 1


GOALS = (
    Goal("W1 heat, one solve on 512 points", "w1", EXPONAX, 1e-13, 1 / 1.3, 1.0),
    Goal("W5 string, one solve on 1025 points", "w5", EXPONAX, 1e-13, 1 / 1.3, 1.0),
    Goal("W4 Burgers, ν = 0.01, one solve, error ≤ 1e-7", "w4, 0.01", EXPONAX, 1e-7, 1 / 1.3, 1.0),
    Goal("W4 Burgers, ν = 0.001, one solve, error ≤ 2e-7", "w4, 0.001", EXPONAX, 2e-7, 1 / 1.3, 1.0),
    Goal("W4 Burgers, ν = 0.01, one solve, error ≤ 1e-7", "w4, 0.01", DEDALUS, 1e-7, 20.0, 60.0),
    Goal("W1 heat, batch of 256 on 1024 points", "w1", EXPONAX, 1e-13, 1.5, 3.0, batch=256),
    Goal("W4 Burgers, ν = 0.01, batch of 256, error ≤ 1e-7", "w4, 0.01", EXPONAX, 1e-7, 1.5, 3.0, batch=256),
    Goal("W4, the same on two threads", "w4, 0.01", EXPONAX, 1e-7, 2.5, 5.0, batch=256, threads=2),
)

#: What of exponax is tried: points and steps; Dedalus: the same.
STEPS = {"w4, 0.01": (70, 100, 150, 200), "w4, 0.001": (170, 200, 300, 400)}
POINTS = {"w4, 0.01": (96, 128, 192), "w4, 0.001": (768, 1024)}


def cases(group: str) -> list[Case]:
    if group in ("w1", "w5"):
        n = 512 if group == "w1" else 1024
        return [
            Case(group, OURS, {"n": n}),
            Case(group, EXPONAX, {"n": n if group == "w1" else 2 * n}),
        ]
    if group == "w4":
        found = []
        for work in STEPS:
            found += [
                Case(work, OURS, {"n": POINTS[work][0], "tolerance": t}) for t in (3e-7, 1e-7, 5e-8, 1e-8)
            ]
            found += [Case(work, EXPONAX, {"n": n, "steps": s}) for n in POINTS[work] for s in STEPS[work]]
        return found + [
            Case("w4, 0.01", DEDALUS, {"n": n, "steps": s}) for n in (128, 192) for s in (200, 400)
        ]
    many = {"batch": 256}
    return [
        Case("w1", OURS, {"n": 1024, **many}),
        Case("w1", EXPONAX, {"n": 1024, **many}),
        *(
            Case("w4, 0.01", OURS, {"n": 128, "tolerance": t, **many}, threads)
            for threads in (1, 2)
            for t in (1e-7, 5e-8, 1e-8, 5e-9)
        ),
        *(Case("w4, 0.01", EXPONAX, {"n": n, "steps": s, **many}) for n in (128, 192) for s in (100, 200)),
    ]


GROUPS = ("w1", "w4", "w5", "batch")


def run_case(text: str) -> None:
    case = Case(**json.loads(text))
    options = case.options | ({"threads": case.threads} if case.family == OURS else {})
    try:
        found = importlib.import_module(f"peers.{MODULES[case.family]}").run(workload(case.work), **options)
    except ModuleNotFoundError as error:
        found = {"problem": f"not installed (no module {error.name})"}
    except Exception as error:  # one broken case must not end the run
        found = {"problem": f"{type(error).__name__}: {error}"}
    print("\n" + json.dumps(found))


def in_a_process(case: Case) -> dict[str, Any]:
    one = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    command = [sys.executable, str(HERE / "spectral.py"), "--case", json.dumps(asdict(case))]
    done = subprocess.run(
        command, env=os.environ | one, capture_output=True, text=True, timeout=600, check=False
    )
    if done.returncode != 0 or not done.stdout.strip():
        return {"problem": (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]}
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def best(results: list[tuple[Case, dict[str, Any]]], goal: Goal, family: str) -> tuple[Case, float] | None:
    """The fastest option of a contender that meets the goal's error."""
    threads = goal.threads if family == OURS else 1
    fit = [
        (case, median(found["warm"]))
        for case, found in results
        if case.family == family
        and (case.work, case.batch, case.threads) == (goal.work, goal.batch, threads)
        and found.get("error", float("nan")) <= goal.error
    ]
    return min(fit, key=lambda one: one[1], default=None)


def span(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.1e} s"


def said(case: Case) -> str:
    return ", ".join(f"{key} {value:g}" for key, value in case.options.items() if key != "batch")


def verdicts(results: list[tuple[Case, dict[str, Any]]], asked: list[str]) -> list[list[str]]:
    rows = []
    for goal in GOALS:
        group = "batch" if goal.batch > 1 else goal.work.split(",")[0]
        if group not in asked:
            continue
        mine, theirs = best(results, goal, OURS), best(results, goal, goal.peer)
        if mine is None or theirs is None:
            rows.append(
                [
                    goal.text,
                    goal.peer,
                    "–",
                    "–",
                    "–",
                    "nobody" if mine is theirs else "one side is not exact enough",
                ]
            )
            continue
        ratio = theirs[1] / mine[1]
        stands = "reached" if ratio >= goal.reach else "met" if ratio >= goal.need else "missed"
        rows.append(
            [
                goal.text,
                f"{goal.peer}: {said(theirs[0])}",
                span(theirs[1]),
                f"{span(mine[1])} ({said(mine[0])})",
                f"{ratio:.2f} × (at least {goal.need:.2f}, reach for {goal.reach:g})",
                stands,
            ]
        )
    return rows


GOAL_HEADINGS = ("goal", "peer", "its time", "ours", "ratio", "stands")
RUN_HEADINGS = (
    "workload",
    "package",
    "option",
    "batch",
    "threads",
    "cold",
    "warm a sample (fastest)",
    "rel. L1",
)


def row(case: Case, found: dict[str, Any]) -> list[str]:
    head = [case.work, case.family, said(case), str(case.batch), str(case.threads)]
    if "problem" in found:
        return [*head, found["problem"], "", ""]
    warm = found["warm"]
    return [*head, span(found["cold"]), f"{span(median(warm))} ({span(min(warm))})", f"{found['error']:.1e}"]


def as_markdown(headings: tuple[str, ...], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(headings) + " |", "|---" * len(headings) + "|"]
    return "\n".join(lines + ["| " + " | ".join(one) + " |" for one in rows]) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=GROUPS, metavar="GROUP", help=", ".join(GROUPS))
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the numbers to FILE")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="also write the tables to FILE")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.case is not None:
        run_case(asked.case)
        return
    console = Console(width=max(Console().width, 180))  # redirected output would be cut at 80 columns
    groups = asked.only or list(GROUPS)
    results = []
    with console.status("") as status:
        for case in (case for group in groups for case in cases(group)):
            status.update(f"{case.work}, {case.family}, {said(case)}")
            if case.family == OURS:
                in_a_process(case)  # so that machine code is on disk
            results.append((case, in_a_process(case)))
    runs, goals = [row(*one) for one in results], verdicts(results, groups)
    for headings, rows, title in ((RUN_HEADINGS, runs, "All runs"), (GOAL_HEADINGS, goals, "Goals")):
        table = Table(*headings, title=title)
        for one in rows:
            table.add_row(*one)
        console.print(table)
    if asked.markdown is not None:
        asked.markdown.write_text(
            as_markdown(GOAL_HEADINGS, goals) + "\n" + as_markdown(RUN_HEADINGS, runs), encoding="utf-8"
        )
    if asked.json is not None:
        kept = [asdict(case) | {"measured": found} for case, found in results]
        asked.json.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
