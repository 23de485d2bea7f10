"""What all exchange formats share: a dataset block by block, a place that appears whole or not at all, and what to say afterwards."""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import get_ident
from typing import NamedTuple

import numpy as np
import xarray as xr

from lawbound.datasets import schema, store
from lawbound.datasets.split import members_of, splits_of

#: Most samples that are in memory at once, where the input allows it.
BLOCK = 64


@dataclass(frozen=True)
class ExportReport:
    """What was written, and in sentences what the format has no place for."""

    format: str
    path: Path
    samples: int
    fields: tuple[str, ...]
    files: tuple[str, ...]
    notes: tuple[str, ...]


class Block(NamedTuple):
    """Neighbouring samples of one split; `first` counts from the start of the split."""

    split: str
    first: int
    data: xr.Dataset


@dataclass(frozen=True)
class Source:
    """A dataset that is read block by block; `splits` has the number of samples of each.

    `on_block(done, samples)` is told how far the reading is.
    """

    template: xr.Dataset
    splits: dict[str, int]
    on_block: Callable[[int, int], None] = field(default=lambda done, samples: None, compare=False)

    @property
    def samples(self) -> int:
        """Number of samples."""
        return sum(self.splits.values())

    @property
    def problem(self) -> str:
        """Name of the problem, fit for the name of a file."""
        return re.sub(r"[^\w-]+", "_", self.template.attrs["lawbound_problem"]) or "data"

    @property
    def single(self) -> bool:
        """Whether all fields are stored in single precision already."""
        return all(self.template[name].dtype == np.float32 for name in schema.state_variables(self.template))

    @classmethod
    def of(cls, data: "xr.Dataset | str | Path | Source") -> "Source":
        """A dataset, a file, a store or a folder; raises `ValueError` if it is none of ours, damaged or not finite."""
        if isinstance(data, Source):
            return data
        whole = data if isinstance(data, xr.Dataset) else store.open(data, lazy=True)
        schema.require(whole.isel({schema.SAMPLE: slice(BLOCK)}), "The dataset to export")
        splits = {name: members_of(whole, name).size for name in splits_of(whole)}
        for name in splits:
            if not re.fullmatch(r"[\w-]+", name):
                raise ValueError(f"split `{name}` cannot name a folder; use letters, digits, `_` and `-`.")
        return cls(whole, splits)

    def pieces(self) -> Iterator[tuple[int, xr.Dataset]]:
        """Neighbouring samples in their order, with the position of the first."""
        for start in range(0, self.samples, BLOCK):
            piece = self.template.isel({schema.SAMPLE: slice(start, start + BLOCK)}).load()
            schema.require_finite(piece)
            yield start, piece
            self.on_block(start + piece.sizes[schema.SAMPLE], self.samples)

    def blocks(self) -> Iterator[Block]:
        """All samples, neighbours of one split together."""
        seen = dict.fromkeys(self.splits, 0)
        for _, piece in self.pieces():
            for split in splits_of(piece):
                block = piece.isel({schema.SAMPLE: members_of(piece, split)})
                yield Block(split, seen[split], block)
                seen[split] += block.sizes[schema.SAMPLE]


def rounded_notes(source: Source, layout: str) -> list[str]:
    """What storing fields in single precision means for a dataset, in sentences."""
    predictions = schema.by_role(source.template, schema.PREDICTION)
    notes = []
    if not source.single:
        notes.append(
            "Fields were in double precision and are rounded to float32; laws are left out, their tolerances are for the "
            "double values."
        )
    if predictions:
        notes.append(f"{layout} takes solutions, not predictions: {', '.join(predictions)} are left out.")
    return notes


@contextmanager
def fresh(path: str | Path) -> Iterator[Path]:
    """A temporary name beside `path` for a file or folder that takes its place at the end, whole or not at all.

    Raises `ValueError` if `path` exists, unless it is an empty folder.
    """
    path = Path(path).absolute()
    empty = path.is_dir() and not any(path.iterdir())
    if path.exists() and not empty:
        raise ValueError(f"{path} exists; give a new name (-o).")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{get_ident()}.tmp")
    try:
        yield temporary
        if empty:
            path.rmdir()
        os.replace(temporary, path)
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary)
        temporary.unlink(missing_ok=True)
