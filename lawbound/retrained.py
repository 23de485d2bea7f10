"""A retrained table, from nothing to the comparison, in a folder from which interrupted work goes on.

FOLDER/table.json            what is being made
FOLDER/STUDY/data/PART/…     datasets, as `lawbound generate` makes them
FOLDER/STUDY/runs/NAME/…     runs, as `lawbound train` makes them
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import torch
import xarray as xr
from torch import nn

from lawbound import pretrained
from lawbound.comparison import compare
from lawbound.datasets import schema
from lawbound.datasets.generate import configure, generate_into
from lawbound.datasets.split import concatenated
from lawbound.datasets.store import ShardRecord
from lawbound.datasets.store import open as open_dataset
from lawbound.evidence import Comparison
from lawbound.recipe import Part, Recipe, Study
from lawbound.surrogates import checkpoint
from lawbound.surrogates.surrogate import Learner, Surrogate
from lawbound.surrogates.training import chosen_device
from lawbound.workfolder import claim, refuse

#: Announces a step by its title, and returns what takes its progress, (done, total).
Step = Callable[[str], Callable[[int, int], None]]


def quietly(title: str) -> Callable[[int, int], None]:
    """A step that nobody is told of."""
    return lambda done, total: None


def retrained(
    recipe: Recipe, folder: str | Path, *, quick: bool = False, device: str = "cpu", step: Step = quietly
) -> list[tuple[str, Comparison]]:
    """Each study's name and comparison; what the folder already holds of the same work is not done again.

    Raises `ValueError` for a device that is not there, and for a folder with anything else in it.
    """
    chosen_device(device)
    where, studies = Path(folder), recipe.studies(quick)
    claim(where, recipe.table, _settings(studies, quick))
    reduced = recipe.reduced if quick else ""
    with threads(1 if quick and device == "cpu" else torch.get_num_threads()):
        found = [(study.name, _judged(study, where / study.name, device, step)) for study in studies]
    return [(name, replace(made, table=recipe.table, reduced=reduced)) for name, made in found]


def refuse_others(folder: Path, recipe: Recipe, quick: bool) -> None:
    """Raise `ValueError` for a folder that holds anything but this table's work."""
    refuse(folder, recipe.table, _settings(recipe.studies(quick), quick))


def _settings(studies: Sequence[Study], quick: bool) -> dict[str, Any]:
    return {"quick": quick, **{study.name: study.described() for study in studies}}


@contextmanager
def threads(count: int) -> Iterator[None]:
    """So many for PyTorch: small models lose more by sharing than they gain, most of all on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@final
@dataclass(frozen=True, eq=False)
class Prepared:
    """A study's networks, the data that judge them, and hashes of all its data."""

    study: Study
    networks: dict[str, Surrogate]
    test: xr.Dataset
    hashes: dict[str, str]


def prepared(
    recipe: Recipe,
    study: str,
    folder: str | Path,
    *,
    names: Sequence[str] | None = None,
    quick: bool = False,
    device: str = "cpu",
    step: Step = quietly,
) -> Prepared:
    """Networks of one study of a table, in the table's own folder, trained as far as they are not there yet.

    names: which of its networks, all if None. Raises `ValueError` as `retrained` does, and for a study that there is not.
    """
    chosen_device(device)
    where, studies = Path(folder), {one.name: one for one in recipe.studies(quick)}
    if study not in studies:
        raise ValueError(f"`{recipe.table}` has no study `{study}`; it has {', '.join(studies)}.")
    claim(where, recipe.table, _settings(tuple(studies.values()), quick))
    with threads(1 if quick and device == "cpu" else torch.get_num_threads()):
        return _prepared(studies[study], where / study, device, step, names)


def _prepared(
    study: Study, folder: Path, device: str, step: Step, names: Sequence[str] | None = None
) -> Prepared:
    train, valid = (
        _solved(study, part, folder / "data" / name, step, name)
        for name, part in (("train", study.train), ("valid", study.valid))
    )
    tests = [_solved(study, part, folder / "data" / part.folder, step, part.split) for part in study.test]
    networks = {
        name: _trained(
            study, name, learner, folder / "runs" / name.replace("/", "-"), train, valid, device, step
        )
        for name, learner in study.learners.items()
        if names is None or name in names
    }
    hashes = {part.folder: str(data.attrs["lawbound_config_sha256"]) for part, data in
              zip((study.train, study.valid, *study.test), (train, valid, *tests), strict=True)}  # fmt: skip
    return Prepared(study, networks, _together(tests), hashes)


def _judged(study: Study, folder: Path, device: str, step: Step) -> Comparison:
    ready = _prepared(study, folder, device, step)
    made = compare(
        ready.networks,
        ready.test,
        study.rules,
        times=study.judged_times,
        seed=study.seed,
        scores=study.scores,
        on_progress=step(f"{study.name}: imposing laws and judging"),
    )
    named = made.with_case_called(study.case) if study.case else made
    return replace(named, hashes=ready.hashes)


def _together(parts: Sequence[xr.Dataset]) -> xr.Dataset:
    """One dataset of several; samples of the later ones are numbered on."""
    numbered, after = [], 0
    for part in parts:
        number = part[schema.SAMPLE]
        numbered.append(part.assign_coords({schema.SAMPLE: number.copy(data=number.values + after)}))
        after += int(number.values[-1]) + 1
    return concatenated(numbered)


def _solved(study: Study, part: Part, folder: Path, step: Step, what: str) -> xr.Dataset:
    """The dataset in its folder, solved as far as it is not there yet."""
    family, config = configure(
        study.problem, part.samples, seed=part.seed, split=part.split, nx=study.nx, nt=study.nt, times=study.times,
        parameters=dict(part.parameters),
    )  # fmt: skip
    advance = step(f"{study.name}: solving {part.samples} problems ({what})")
    done: list[str] = []

    def on_shard(record: ShardRecord) -> None:
        done.append(record.file)
        advance(len(done), config.shards)

    generate_into(folder, family, config, on_shard=on_shard)
    return open_dataset(folder)


def _trained(
    study: Study,
    name: str,
    learner: Learner,
    folder: Path,
    train: xr.Dataset,
    valid: xr.Dataset,
    device: str,
    step: Step,
) -> Surrogate:
    """The network in its run folder, trained as far as it is not yet."""
    if (folder / checkpoint.CONFIG).exists():
        return _moved(pretrained.load(folder), device)
    advance = step(f"{study.name}: training {name}")
    fitted = learner.fit(
        train.load(),
        valid.load(),
        seed=study.seed,
        device=device,
        folder=folder,
        resume=True,
        on_progress=lambda p: advance(p.epoch, p.epochs),
    )
    checkpoint.save(folder, learner, fitted, seed=study.seed)
    return fitted


def _moved(surrogate: Surrogate, device: str) -> Surrogate:
    """Computing where it was asked to; a surrogate without a network stays where it is."""
    network = getattr(surrogate, "network", None)
    if isinstance(network, nn.Module):
        network.to(chosen_device(device))
    return surrogate
