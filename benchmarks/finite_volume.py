"""How fast the finite-volume solvers are, beside other packages at equal error.

    pip install -e .[peers]      # in an environment of its own: py-pde, FiPy, Clawpack (which needs gfortran)
    python benchmarks/finite_volume.py [--quick] [--only GROUP ...] [--json FILE] [--markdown FILE]

Groups: w2 (porous medium), fipy, w3 (Stefan), batch, kernels, hyperbolic, cold, memory. Every case runs in a process of
its own, on one thread unless it says two. `cold` is the first solve of that process, imports not counted; for us with
machine code from numba's on-disk cache. `warm` is the median of those that follow. A ratio is one of medians, the
number in brackets one of fastest runs; it counts only where both sides meet the error that the workload asks for, or,
where it asks for none, where we are as exact as the peer. Of several options the fastest that is exact enough counts,
on both sides. "Same kind" sets the same sort of scheme beside Clawpack's on the same grid and says where its error is
larger. Rates of kernels are fastest runs. `inside` is the time that a peer spends in compiled time steps, without set-up, compilation and Python.
What is not installed is reported and left out. Ten minutes; --quick takes three and tries fewer options, so some goals
look worse. Editing the solvers meanwhile makes them compile again: trust no cold start then.
"""

import argparse
import importlib
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))  # Python does not look beside the script where it was told to be safe

from peers.cases import CLAWPACK, FIPY, GROUPS, LSODA, OURS, PYPDE, Case, Result  # noqa: E402
from peers.goals import span, standing  # noqa: E402

TIMEOUT = 300.0
PACKAGES = ("lawbound", "numpy", "scipy", "numba", "py-pde", "fipy", "clawpack")
MODULES = {
    OURS: "with_lawbound",
    LSODA: "with_scipy",
    PYPDE: "with_pypde",
    FIPY: "with_fipy",
    CLAWPACK: "with_clawpack",
}


def run_case(text: str) -> None:
    """Run one case in this process and print what was measured."""
    case = Case(**json.loads(text))
    options = case.options | ({"threads": case.threads} if case.family == OURS else {})
    try:
        module = importlib.import_module(f"peers.{MODULES[case.family]}")
        found = module.run(case.workload, **options)
    except ModuleNotFoundError as error:
        found = {"problem": f"not installed (no module {error.name})"}
    except Exception as error:  # one broken case must not end the run
        found = {"problem": f"{type(error).__name__}: {error}"}
    print("\n" + json.dumps(found))


def in_a_process(case: Case, folder: Path) -> dict[str, Any]:
    environment = os.environ | {
        "NUMBA_NUM_THREADS": str(case.threads),
        "NUMBA_CACHE_DIR": str(folder / case.cache),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    command = [sys.executable, str(HERE / "finite_volume.py"), "--case", json.dumps(asdict(case))]
    try:
        # Clawpack writes a log where it runs.
        done = subprocess.run(
            command, env=environment, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired:
        return {"problem": f"not done after {TIMEOUT:g} s"}
    if done.returncode != 0 or not done.stdout.strip():
        said = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        return {"problem": said[-1]}
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def run_all(cases: list[Case], console: Console) -> list[Result]:
    results, primed = [], set()
    with tempfile.TemporaryDirectory() as name, console.status("") as status:
        for number, case in enumerate(cases, 1):
            status.update(f"{number} of {len(cases)}: {case.workload}, {case.family}, {case.label}")
            kernel = (case.workload, case.options.get("solver"), case.options.get("mean"))
            if case.family == OURS and case.group not in ("cold", "kernels") and kernel not in primed:
                in_a_process(case, Path(name))  # so that machine code is on disk
                primed.add(kernel)
            results.append(Result(case, in_a_process(case, Path(name))))
    return results


RUN_HEADINGS = (
    "workload", "package", "option", "threads", "cold", "warm (min..max), runs", "inside", "L1", "front, cells", "steps",
)  # fmt: skip
GOAL_HEADINGS = ("goal", "ours", "peer", "ratio", "at least", "reach for", "stands")


def run_as_text(result: Result) -> list[str]:
    case, found = result.case, result.measured
    head = [case.workload, case.family, case.label, str(case.threads)]
    if not result.ok:
        return [*head, found["problem"], *[""] * 5]
    if "rate" in found:
        return [*head, "", f"{found['rate']:.2e}/s", *[""] * 4]
    if "grown" in found:
        return [
            *head,
            "",
            f"{found['grown'] / 1e6:.0f} MB for {found['held'] / 1e6:.0f} MB of answers",
            *[""] * 4,
        ]
    if "warm" not in found:
        return [*head, span(found["cold"]), *[""] * 5]
    warm = found["warm"]
    spread = f"{span(median(warm))} ({span(min(warm))}..{span(max(warm))}), {len(warm)}"
    inside = span(median(found["stepping"])) if found["stepping"] else ""
    front = "" if found["front"] is None else f"{found['front']:+.2f}"
    steps = "" if found["steps"] is None else str(found["steps"])
    return [*head, span(found["cold"]), spread, inside, f"{found['error']:.2e}", front, steps]


def machine() -> dict[str, Any]:
    model = platform.processor()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        model = names[0].partition(":")[2].strip() if names else model
    return {"processor": model, "cores": os.cpu_count(), "python": platform.python_version()}


def versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def shown(title: str, headings: tuple[str, ...], rows: list[list[str]]) -> Table:
    table = Table(*headings, title=title)
    for row in rows:
        table.add_row(*row)
    return table


def as_markdown(headings: tuple[str, ...], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(headings) + " |", "|---" * len(headings) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer options and small batches")
    parser.add_argument("--only", nargs="+", choices=GROUPS, metavar="GROUP", help=", ".join(GROUPS))
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the numbers to FILE")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="also write the tables to FILE")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.case is not None:
        run_case(asked.case)
        return

    console = Console(width=max(Console().width, 190))  # redirected output would be cut at 80 columns
    groups = asked.only or list(GROUPS)
    load, start = os.getloadavg()[0], time.perf_counter()
    results = run_all([case for group in groups for case in GROUPS[group](asked.quick)], console)
    minutes = (time.perf_counter() - start) / 60.0
    goals = standing(results)
    about = machine() | {"load before": round(load, 2), "minutes": round(minutes, 1)} | versions()
    runs, lines = [run_as_text(result) for result in results], [list(asdict(line).values()) for line in goals]
    console.print(shown("All runs", RUN_HEADINGS, runs))
    console.print(shown("Goals", GOAL_HEADINGS, lines))
    facts = ", ".join(f"{name} {value}" for name, value in about.items())
    console.print(facts)

    command = " ".join(["python benchmarks/finite_volume.py", *(["--quick"] if asked.quick else [])])
    command += f" --only {' '.join(asked.only)}" if asked.only else ""
    if asked.markdown is not None:
        tables = [as_markdown(GOAL_HEADINGS, lines), as_markdown(RUN_HEADINGS, runs)]
        asked.markdown.write_text("\n".join([f"`{command}`\n\n{facts}\n", *tables]), encoding="utf-8")
    if asked.json is not None:
        kept = {
            "command": command,
            "about": about,
            "runs": [asdict(result.case) | {"measured": result.measured} for result in results],
            "goals": [asdict(line) for line in goals],
        }
        asked.json.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
