"""Commands that make, show, check and hand on data."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter
from rich.table import Table

from lawbound import arguments
from lawbound.command import Json, Out, app, complain, print_json, reading_arguments
from lawbound.terminal import cell, console, progress

if TYPE_CHECKING:
    from lawbound.datasets.config import Config
    from lawbound.datasets.family import Family
    from lawbound.datasets.manifest import ShardRecord

# Modules that load torch, matplotlib or xarray are imported inside the commands: `lawbound --help` is instant.


@app.command(name="list")
def list_(
    what: Literal["problems", "surrogates", "constraints", "scores", "tables", "pretrained"],
    *,
    json: Json = False,
) -> None:
    """Show what is installed, plug-ins included.

    Parameters
    ----------
    what
        Which list.
    """
    from lawbound.lists import LISTS, shown

    rows = LISTS[what]()
    if json:
        print_json({what: rows})
        return
    console.print(shown(what, rows))


@app.command
def info(path: Path, *, json: Json = False) -> None:
    """Say what a dataset or a run holds.

    Parameters
    ----------
    path
        A folder made by `generate` or `train`, `pretrained:NAME`, a netCDF file, a Zarr store or an .npz file.
    """
    from lawbound.summary import summary

    found = summary(path)
    if json:
        print_json(found)
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

    with reading_arguments():
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
        complain(
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
        print_json({"ok": report.ok, "findings": [asdict(finding) for finding in report.findings]})
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
        print_json({**asdict(report), "path": str(report.path)})
        return
    console.print(
        f"{out}: {report.samples} samples of {', '.join(report.fields)} for {to}.",
        highlight=False,
        markup=False,
    )
    for note in report.notes:
        console.print(f"· {note}", highlight=False, markup=False)
