"""The command line. Exit status 0: done; 1: a finding or a failure; 2: wrong arguments."""

import json
import shlex
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, CycloptsError, Parameter
from rich.table import Table

from lawbound import arguments
from lawbound.datasets.plugins import UnknownName
from lawbound.terminal import cell, console, notes, progress

if TYPE_CHECKING:
    from lawbound.datasets.config import Config
    from lawbound.datasets.family import Family
    from lawbound.datasets.manifest import ShardRecord

# Modules that load torch, matplotlib or xarray are imported inside the commands: `lawbound --help` is instant.

app = App(
    name="lawbound",
    help="Surrogates of PDE solvers that keep conservation laws and boundary conditions.",
    version=version("lawbound"),
)

Json = Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON object.")]
Out = Annotated[Path, Parameter(name=["-o", "--out"])]


class WrongArguments(ValueError):
    """Arguments that make no sense; exit status 2."""


@contextmanager
def _arguments() -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise WrongArguments(str(error)) from None


def main() -> None:
    """Entry point of the `lawbound` program."""
    sys.exit(run(sys.argv[1:]))


def run(words: list[str]) -> int:
    """Run one command; messages of expected failures go to standard error, without a traceback."""
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _note
            status = app(words, exit_on_error=False, print_error=False, result_action="return_value")
        return int(status or 0)
    except (CycloptsError, UnknownName, WrongArguments) as error:
        _complain(str(error))
        return 2
    except (ValueError, OSError, RuntimeError) as error:
        _complain(str(error))
        return 1
    except KeyboardInterrupt:
        _complain(
            "Interrupted. Finished shards are kept: the same `generate` goes on. So is the last state of training: add --resume."
        )
        return 130


def _note(message: Warning | str, *about: object, **more: object) -> None:
    """A warning, without the line of code that gave it."""
    notes.print("[bold yellow]lawbound:[/] ", end="")
    notes.print(str(message), markup=False, highlight=False)


def _complain(message: str) -> None:
    notes.print("[bold red]lawbound:[/] ", end="")
    notes.print(message, markup=False, highlight=False)


@app.command(name="list")
def list_(what: Literal["problems", "surrogates", "constraints", "tables"], *, json: Json = False) -> None:
    """Show what is installed, plug-ins included.

    Parameters
    ----------
    what
        Which list.
    """
    from lawbound.lists import LISTS, shown

    rows = LISTS[what]()
    if json:
        _print_json({what: rows})
        return
    console.print(shown(what, rows))


@app.command
def info(path: Path, *, json: Json = False) -> None:
    """Say what a dataset or a run holds.

    Parameters
    ----------
    path
        A folder made by `generate` or `train`, a netCDF file, a Zarr store or an .npz file.
    """
    from lawbound.summary import summary

    found = summary(path)
    if json:
        _print_json(found)
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column()
    for key, value in found.items():
        table.add_row(key, cell(value))
    console.print(table)


@app.command
def generate(
    problem: str,
    *,
    samples: Annotated[int, Parameter(name=["-n", "--samples"])],
    out: Out,
    seed: int = 0,
    nx: int | None = None,
    nt: int | None = None,
    times: str | None = None,
    param: list[str] | None = None,
    split: str | None = None,
    data: Literal["standard", "random"] = "standard",
    jobs: int = 1,
    scheduler: str | None = None,
    shard: str | None = None,
    shard_size: int | None = None,
    format: Literal["netcdf", "zarr"] = "netcdf",
    dry_run: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Solve problems of a family into a folder; an interrupted run goes on where it stopped.

    Parameters
    ----------
    problem
        A name that `lawbound list problems` shows.
    samples
        How many problems. Without --split, 80 % are train, 10 % valid, 10 % test.
    out
        Folder for the dataset; new, empty, or of the same dataset.
    seed
        Sample i of a split depends on this, the problem, the split and i alone.
    nx
        Number of cells or points, on a square along each side.
    nt
        Number of output times, the start included.
    times
        Span T0:T1.
    param
        NAME=LOW:HIGH, drawn uniformly instead of the split's distribution.
    split
        Draw all samples from this split.
    data
        `random` gives a problem that has a closed form random initial and boundary data instead.
    jobs
        Processes.
    scheduler
        Address of a running Dask scheduler, such as tcp://host:8786, whose workers solve instead.
    shard
        I/N: solve only every N-th shard, from the I-th (from 0), as in a job array.
    shard_size
        Samples in a file; part of what the dataset is.
    format
        What a shard is: a netCDF file or a Zarr store.
    dry_run
        Solve a few samples, say what the whole would cost, and stop.
    """
    from lawbound.datasets.executors import Dask, Processes
    from lawbound.datasets.generate import configure, generate_into, told

    with _arguments():
        if jobs < 1:
            raise ValueError(f"--jobs {jobs}; give at least 1 process.")
        if scheduler is not None and jobs > 1:
            raise ValueError("--jobs starts processes here, --scheduler uses a cluster's; give one of them.")
        if shard_size is not None and shard_size < 1:
            raise ValueError(f"--shard-size {shard_size}; give at least 1 sample.")
        first, step = arguments.part(shard)
        family, config = configure(
            problem,
            samples,
            seed=seed,
            split=split,
            nx=nx,
            nt=nt,
            times=arguments.span("--times", times),
            parameters=dict(arguments.named_span(text) for text in param or []),
            data=data,
            shard_size=shard_size or min(64, max(4, samples // 16)),
        )
    if dry_run:
        _say_cost(family, config, out, jobs, format)
        return 0
    pool = Dask(scheduler) if scheduler is not None else Processes(jobs) if jobs > 1 else None
    mine = range(first * config.shard_size, config.samples, step * config.shard_size)
    total = sum(min(config.shard_size, config.samples - start) for start in mine)
    with progress(f"solving {family.name}") as advance:
        done = 0

        def on_shard(record: "ShardRecord") -> None:
            nonlocal done
            done += record.count + len(record.failed)
            advance(done, total)

        manifest = generate_into(
            out,
            family,
            config,
            form=format,
            executor=pool,
            only=lambda number: number % step == first,
            on_shard=on_shard,
        )
    failed, state = manifest.failed, "complete"
    if not manifest.complete:
        state = f"{len(manifest.shards)} of {manifest.shards_wanted} shards"
    elif failed:
        state = f"complete but for {len(failed)} samples"
    console.print(f"{out}: {config.samples} samples of {family.name}, {state}.", highlight=False)
    if failed:
        _complain(
            f"{told(failed, config.samples)}\nThe dataset lacks them; all are listed in {out / 'manifest.json'}. The same command "
            "tries them again; otherwise leave them out, or do what the message says in a new folder (-o)."
        )
    return 1 if failed else 0


def _say_cost(
    family: "Family", config: "Config", out: Path, jobs: int, form: Literal["netcdf", "zarr"]
) -> None:
    from lawbound.datasets.estimate import estimate
    from lawbound.terminal import duration, free_space

    cost = estimate(family, config, form)
    shape = family.grid(family.domain, config.nx).shape
    megabytes, disk = cost.memory * config.samples / 1e6, cost.disk * config.samples / 1e6
    console.print(
        f"{config.samples} samples of {family.name} in {config.shards} shards, "
        f"{' × '.join(map(str, shape))} positions × {config.nt} times;\n"
        f"{1e3 * cost.seconds:.3g} ms/sample ({cost.looked_at} solved and written to see), "
        f"about {duration(cost.total(config.samples, jobs))} with --jobs {jobs};\n"
        f"about {megabytes:.1f} MB, {disk:.1f} MB on disk, of {free_space(out) / 1e6:.0f} MB free, into {out}. Nothing was written.",
        highlight=False,
    )


@app.command
def check(path: Path, *, json: Json = False) -> int:
    """Check schema, hashes, values, wall fluxes and laws of a dataset; exit status 1 if anything is wrong.

    Parameters
    ----------
    path
        A folder made by `generate`, a netCDF file, a Zarr store or an .npz file.
    """
    from lawbound.datasets.check import check as check_dataset

    report = check_dataset(path)
    if json:
        _print_json({"ok": report.ok, "findings": [asdict(finding) for finding in report.findings]})
        return 0 if report.ok else 1
    table = Table(box=None, show_header=False, pad_edge=False)
    for finding in report.findings:
        table.add_row("[green]ok[/]" if finding.ok else "[bold red]WRONG[/]", finding.subject, finding.detail)
    console.print(table)
    wrong = sum(not finding.ok for finding in report.findings)
    console.print(
        f"{len(report.findings)} checks, {wrong} wrong."
        if wrong
        else f"{len(report.findings)} checks, all right."
    )
    return 0 if report.ok else 1


@app.command
def export(
    data: Path, *, to: Literal["well", "pdebench", "zarr", "npz"], out: Out, json: Json = False
) -> None:
    """Write a dataset for other tools, and say what their layout has no place for.

    Parameters
    ----------
    data
        A folder made by `generate`, a netCDF file, a Zarr store or an .npz file.
    to
        `well`: a folder for The Well's reader. `pdebench`: a folder with a file for PDEBench's loaders. `zarr`: a store of
        format 3. `npz`: one file that NumPy reads.
    out
        What to write; it must not exist.
    """
    from lawbound.datasets.export import export as export_dataset

    with progress(f"exporting to {to}") as advance:
        report = export_dataset(data, to, out, on_block=advance)
    if json:
        _print_json({**asdict(report), "path": str(report.path)})
        return
    console.print(
        f"{out}: {report.samples} samples of {', '.join(report.fields)} for {to}.",
        highlight=False,
        markup=False,
    )
    for note in report.notes:
        console.print(f"· {note}", highlight=False, markup=False)


@app.command
def train(
    surrogate: str,
    data: Path,
    *,
    out: Out,
    epochs: int | None = None,
    seed: int = 0,
    device: Literal["cpu", "cuda"] = "cpu",
    resume: Annotated[bool, Parameter(negative="")] = False,
    unchecked: Annotated[bool, Parameter(negative="")] = False,
    option: list[str] | None = None,
) -> None:
    """Train a surrogate on the train split of a dataset, the best weights chosen on its valid split.

    `torchrun --no-python --nproc-per-node N lawbound train …` shares every batch among N processes.

    Parameters
    ----------
    surrogate
        A name that `lawbound list surrogates` shows.
    data
        A dataset.
    out
        Run folder; new or empty, unless --resume.
    epochs
        Passes over the training split.
    seed
        Seed of initial weights and batches.
    device
        Where to train.
    resume
        Go on with the run in the folder.
    unchecked
        Train on a dataset that `lawbound check` finds wrong.
    option
        NAME=VALUE, a hyperparameter; the value is JSON, or a word.
    """
    from lawbound.datasets.store import open as open_dataset
    from lawbound.runs import fit, learner_of
    from lawbound.surrogates.distributed import rank

    with _arguments():
        options = dict(arguments.named_value(text) for text in option or [])
        if epochs is not None:
            options["epochs"] = epochs
        learner = learner_of(surrogate, options)
        if seed < 0:
            raise ValueError(f"--seed {seed}; give an integer ≥ 0.")
    dataset = open_dataset(data)
    with progress(f"training {surrogate}") as advance:
        fit(
            learner,
            dataset,
            seed=seed,
            device=device,
            folder=out,
            resume=resume,
            unchecked=unchecked,
            on_progress=lambda p: advance(p.epoch, p.epochs),
        )
    if rank() == 0:
        console.print(f"{out}: {surrogate} trained on {data}.", highlight=False)


@app.command
def predict(run: Path, data: Path, *, out: Out, split: str = "test", times: int = 11) -> None:
    """Predict a split of a dataset and write means and standard deviations to a netCDF file.

    Parameters
    ----------
    run
        A run folder.
    data
        A dataset.
    out
        The file to write; it must not exist.
    split
        Which samples.
    times
        How many of the stored times, evenly spaced, the time of interest among them.
    """
    from lawbound.comparison import chosen_times
    from lawbound.datasets.schema import require_finite
    from lawbound.datasets.split import of_split
    from lawbound.datasets.store import open as open_dataset
    from lawbound.datasets.store import write
    from lawbound.surrogates.checkpoint import load

    if out.exists():
        raise WrongArguments(f"{out} exists; give a new file (-o).")
    whole = open_dataset(data)
    with _arguments():
        part = of_split(whole, split)
        chosen = chosen_times(part, times)
    require_finite(part)
    with progress("predicting"):
        prediction = load(run).predict(part, times=chosen)
    write(prediction.to_dataset(), out)
    console.print(f"{out}: {part.sizes['sample']} samples at {chosen.size} times.", highlight=False)


@app.command
def compare(
    runs: list[Path],
    *,
    data: Path,
    constraint: list[str] | None = None,
    out: Annotated[Path | None, Parameter(name=["-o", "--out"])] = None,
    times: int = 11,
    seed: int = 0,
    json: Json = False,
) -> None:
    """Judge runs, as they are and under constraints, against the solver, on samples held out from training.

    Parameters
    ----------
    runs
        Run folders.
    data
        A dataset with held-out samples.
    constraint
        NAME or NAME:HOW, as often as you like; without any, conservation:project and conservation:condition.
    out
        REPORT.html; REPORT.csv and REPORT.json are written beside it.
    times
        How many of the stored times are judged.
    seed
        Seed of the joint samples.
    """
    from lawbound.comparison import compare as compared_by
    from lawbound.comparison import imposed
    from lawbound.report import as_json, check_path, write_report
    from lawbound.table import print_comparison

    specs = constraint or ["conservation:project", "conservation:condition"]
    with _arguments():
        constraints = [imposed(spec) for spec in specs]
        if times < 1:
            raise ValueError(f"--times {times}; judge at least one time.")
        if out is not None:
            check_path(out)
    with progress("judging") as advance:
        result = compared_by(runs, data, constraints, times=times, seed=seed, on_progress=advance)
    if out is not None:
        options = ["--data", str(data), "--times", str(times), "--seed", str(seed), "--out", str(out)]
        options += [word for spec in specs for word in ("--constraint", spec)]
        command = shlex.join(["lawbound", "compare", *map(str, runs), *options])
        settings = {
            "runs": [str(run) for run in runs],
            "data": str(data),
            "constraints": specs,
            "times": times,
            "seed": seed,
        }
        with progress("drawing the report"):
            files = write_report(
                [(result.table, result)],
                out,
                title=f"lawbound: {result.table}",
                config=settings,
                command=command,
            )
    if json:
        _print_json(as_json([(result.table, result)], result.table))
        return
    print_comparison(console, result)
    if out is not None:
        console.print("Written: " + ", ".join(str(file) for file in files), highlight=False)


@app.command
def reproduce(
    table: str,
    *,
    quick: Annotated[bool, Parameter(negative="")] = False,
    out: Annotated[Path | None, Parameter(name=["-o", "--out"])] = None,
    json: Json = False,
) -> None:
    """Make a table of the papers again.

    Parameters
    ----------
    table
        A name that `lawbound list tables` shows.
    quick
        A smaller version: of the frozen tables the published rows and `auto`.
    out
        Folder for report.html, report.csv and report.json.
    """
    from lawbound.report import as_json, check_path, write_report
    from lawbound.reproduce import reproduce as reproduced
    from lawbound.table import print_comparison

    with _arguments():
        if out is not None:
            check_path(out / "report.html")
    with progress(table) as advance:
        result = reproduced(table, quick=quick, on_progress=advance)
    if out is not None:
        write_report(
            [(table, result)],
            out / "report.html",
            title=f"lawbound: {table}",
            config={"table": table, "quick": quick},
            command=f"lawbound reproduce {table}{' --quick' if quick else ''}",
        )
    if json:
        _print_json(as_json([(table, result)], table))
    else:
        print_comparison(console, result)


@app.command
def demo(*, out: Out = Path("lawbound-demo"), seed: int = 0) -> None:
    """From nothing to a report in under a minute: Stefan data, two surrogates, constraints, a real network.

    Parameters
    ----------
    out
        Folder for data, runs and report.html; new, empty, or an earlier demo's.
    seed
        Seed of data, weights and samples.
    """
    from contextlib import ExitStack

    from lawbound.demo import demo as run_demo
    from lawbound.table import print_comparison

    if seed < 0:
        raise WrongArguments(f"--seed {seed}; give an integer ≥ 0.")
    with ExitStack() as bars:

        def step(title: str) -> Any:
            bars.pop_all().close()
            notes.print(f"[bold]·[/] {title}", highlight=False)
            return bars.enter_context(progress(title))

        made = run_demo(out, seed=seed, step=step)
    for title, comparison in made.parts:
        console.rule(title)
        print_comparison(console, comparison)
    console.print("Open " + str(made.files[0]), highlight=False)


def _print_json(value: object) -> None:
    print(json.dumps(value, allow_nan=False))
