"""Commands that train, predict, compare and reproduce."""

import shlex
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from lawbound import arguments
from lawbound.command import Interrupted, Json, Out, WrongArguments, app, print_json, reading_arguments
from lawbound.terminal import console, progress, steps

# Modules that load torch, matplotlib or xarray are imported inside the commands: `lawbound --help` is instant.


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
    constraint: list[str] | None = None,
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
    constraint
        NAME[&NAME…]:operator, part of the network, or NAME:penalty(weight=W), a term of the loss.
    """
    from lawbound.datasets.store import open as open_dataset
    from lawbound.runs import fit, learner_of
    from lawbound.specs import constrained
    from lawbound.surrogates.distributed import rank

    with reading_arguments():
        options = dict(arguments.named_value(text) for text in option or [])
        if epochs is not None:
            options["epochs"] = epochs
        learner = constrained(learner_of(surrogate, options), constraint or [])
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
        A run folder, or a network that comes with lawbound: `pretrained:stefan`.
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
    from lawbound.pretrained import load

    if out.exists():
        raise WrongArguments(f"{out} exists; give a new file (-o).")
    whole = open_dataset(data)
    with reading_arguments():
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
    score: list[str] | None = None,
    figures: Path | None = None,
    json: Json = False,
) -> None:
    """Judge runs, as they are and under constraints, against the solver, on samples held out from training.

    Parameters
    ----------
    runs
        Run folders, or networks that come with lawbound: `pretrained:stefan` (`lawbound list pretrained`).
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
    score
        A name that `lawbound list scores` shows, as often as you like; without any, the usual ones.
    figures
        Folder for every figure as SVG and PNG, and films of planes.
    """
    from lawbound.comparison import compare as compared_by
    from lawbound.comparison import imposed, scored_by
    from lawbound.figure_list import check_folder, write_figures
    from lawbound.report import as_json, check_path, write_report
    from lawbound.table import print_comparison

    specs = constraint or ["conservation:project", "conservation:condition"]
    with reading_arguments():
        constraints = [imposed(spec) for spec in specs]
        if times < 1:
            raise ValueError(f"--times {times}; judge at least one time.")
        if out is not None:
            check_path(out)
        if figures is not None:
            check_folder(figures)
        scores = [scored_by(name) for name in score] if score else None
    with progress("judging") as advance:
        result = compared_by(
            runs, data, constraints, times=times, seed=seed, scores=scores, on_progress=advance
        )
    if out is not None:
        options = ["--data", str(data), "--times", str(times), "--seed", str(seed), "--out", str(out)]
        options += [word for spec in specs for word in ("--constraint", spec)]
        options += [word for name in score or () for word in ("--score", name)]
        options += ["--figures", str(figures)] if figures is not None else []
        command = shlex.join(["lawbound", "compare", *map(str, runs), *options])
        settings = {
            "runs": [str(run) for run in runs],
            "data": str(data),
            "constraints": specs,
            "times": times,
            "seed": seed,
        }
        if score:
            settings["scores"] = score
        with progress("drawing the report"):
            files = write_report(
                [(result.table, result)],
                out,
                title=f"lawbound: {result.table}",
                config=settings,
                command=command,
            )
    if figures is not None:
        with progress("drawing figures"):
            drawn = write_figures([(result.table, result)], figures)
    if json:
        print_json(as_json([(result.table, result)], result.table))
        return
    print_comparison(console, result)
    if figures is not None:
        console.print(f"{figures}: {len(drawn)} files of figures.", highlight=False)
    if out is not None:
        console.print("Written: " + ", ".join(str(file) for file in files), highlight=False)


@app.command
def rollout(
    run: Path,
    *,
    data: Path,
    nx: list[int] | None = None,
    threshold: float = 0.5,
    split: str = "test",
    json: Json = False,
) -> None:
    """How long predictions last, what they lose on the way, and how they fare on other grids.

    Parameters
    ----------
    run
        A run folder, or a network that comes with lawbound: `pretrained:stefan`.
    data
        A dataset, as long as the training data or a whole number of times longer.
    nx
        Numbers of points to solve and predict the same samples with, as often as you like; without any, half, once and
        twice those of training.
    threshold
        The relative error above which a prediction has failed.
    split
        Which samples.
    """
    from lawbound.datasets.split import of_split
    from lawbound.datasets.store import open as open_dataset
    from lawbound.pretrained import load
    from lawbound.rollout import resolutions, stability
    from lawbound.scores import mean_and_error

    whole = open_dataset(data)
    with reading_arguments():
        part = of_split(whole, split)
        surrogate = load(run)
    with progress("rolling out"):
        rows = stability(surrogate, part, threshold=threshold).rows()
    trained = surrogate.origin.grid["x"].points
    with progress("solving on other grids"):
        of_grids = [
            {"nx": points, "rel_l2": value, "stderr": error, "trained": points == trained}
            for points, (value, error) in (
                (points, mean_and_error(errors))
                for points, errors in resolutions(surrogate, part, nx).items()
            )
        ]
    if json:
        print_json({"run": str(run), "stability": rows, "resolutions": of_grids})
        return
    named = [(row["name"], row) for row in rows]
    named += [(f"relative L2, nx={row['nx']}", {**row, "value": row["rel_l2"]}) for row in of_grids]
    for name, row in named:
        error = "" if row["stderr"] is None else f" ± {row['stderr']:.1g}"
        console.print(f"{name:36}  {row['value']:.3g}{error}", highlight=False)


@app.command
def reproduce(
    table: str,
    *,
    quick: Annotated[bool, Parameter(negative="")] = False,
    out: Annotated[Path | None, Parameter(name=["-o", "--out"])] = None,
    device: Literal["cpu", "cuda"] | None = None,
    json: Json = False,
) -> None:
    """Make a table of the papers again: data, networks, laws, and the published figures beside ours.

    What an earlier call finished in the same folder is not done again.

    Parameters
    ----------
    table
        A name that `lawbound list tables` shows.
    quick
        A smaller version, in minutes on two cores; of the frozen tables the published rows and `auto`.
    out
        Folder for report.html, report.csv and report.json, and of retrained tables for data and runs; by default one
        here that is named after the table (of the frozen tables nothing is written).
    device
        Where to train; by default a GPU if there is one.
    """
    words = ["lawbound", "reproduce", table, *(["--quick"] if quick else [])]
    words += ["-o", str(out)] if out is not None else []
    words += ["--device", device] if device is not None else []
    command = shlex.join(words)
    try:
        from lawbound.report import as_json
        from lawbound.reproduce import check, default_folder
        from lawbound.reproduce import reproduce as reproduced
        from lawbound.surrogates.training import chosen_device
        from lawbound.table import print_comparison

        with reading_arguments():
            where = check(table, default_folder(table, quick) if out is None else out, quick=quick)
            if device is not None:
                chosen_device(device)
        with steps() as step:
            made = reproduced(table, quick=quick, out=where, device=device, step=step, command=command)
    except KeyboardInterrupt:
        raise Interrupted(
            f"Interrupted. What is finished is kept; the same command goes on: {command}"
        ) from None
    if json:
        print_json(as_json(made.parts, table))
        return
    for heading, comparison in made.parts:
        if len(made.parts) > 1:
            console.rule(heading)
        print_comparison(console, comparison)
    if made.files:
        console.print("Written: " + ", ".join(map(str, made.files)), highlight=False)


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
    from lawbound.demo import demo as run_demo
    from lawbound.table import print_comparison

    if seed < 0:
        raise WrongArguments(f"--seed {seed}; give an integer ≥ 0.")
    with steps() as step:
        made = run_demo(out, seed=seed, step=step)
    for title, comparison in made.parts:
        console.rule(title)
        print_comparison(console, comparison)
    console.print("Open " + str(made.files[0]), highlight=False)
