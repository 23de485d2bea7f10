"""Is a dataset what it says it is: schema, hashes, finite and moving values, and its laws."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from lawbound.datasets import formats, schema
from lawbound.datasets.store import damage, read, read_manifest, stored_hash_matches

#: A sample whose range is so many robust deviations from the median is reported.
FAR = 10.0


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    subject: str
    ok: bool
    detail: str


@dataclass(frozen=True)
class CheckReport:
    """What `check` found."""

    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return all(finding.ok for finding in self.findings)

    def raise_if_failed(self) -> None:
        """Raise `ValueError` with all that is wrong."""
        wrong = [f"{finding.subject}: {finding.detail}" for finding in self.findings if not finding.ok]
        if wrong:
            raise ValueError(
                "The dataset fails its checks:\n  - " + "\n  - ".join(wrong) + "\nGenerate it again."
            )


def check(data: xr.Dataset | str | Path) -> CheckReport:
    """Look at schema, hashes, values, wall-flux ledger and laws of a dataset, a file or a folder."""
    ranges = _Ranges()
    if isinstance(data, xr.Dataset):
        return CheckReport((*_of_dataset(data, "dataset", ranges), *ranges.findings()))
    path = Path(data)
    if formats.is_one(path):
        return CheckReport((*_of_dataset(read(path), path.name, ranges), *ranges.findings()))
    manifest = read_manifest(path)
    findings = [
        Finding(
            "manifest",
            manifest.complete,
            f"{len(manifest.shards)} of {manifest.shards_wanted} shards are recorded"
            + (
                f"; {len(manifest.failed)} samples could not be solved and are missing"
                if manifest.failed
                else ""
            ),
        )
    ]
    for index in sorted(manifest.shards):
        record = manifest.shards[index]
        broken = damage(path, record)
        if broken:
            findings.append(Finding(record.file, False, broken))
        elif record.count:
            findings.extend(_of_dataset(read(path / record.file), record.file, ranges))
    return CheckReport((*findings, *ranges.findings()))


class _Ranges:
    """max − min of each field of each sample, over all shards."""

    def __init__(self) -> None:
        self._found: dict[str, list[tuple[NDArray[np.int64], NDArray[np.float64]]]] = {}

    def add(self, data: xr.Dataset, field: str) -> None:
        """Take the samples of one shard."""
        values = data[field].values.reshape(data.sizes[schema.SAMPLE], -1)
        spread = values.max(axis=1).astype(np.float64) - values.min(axis=1)
        self._found.setdefault(field, []).append((data[schema.SAMPLE].values, spread))

    def findings(self) -> Iterator[Finding]:
        """Samples unlike the others: worth a look, nothing wrong in itself."""
        for field, parts in self._found.items():
            numbers, spread = (np.concatenate(column) for column in zip(*parts, strict=True))
            middle = float(np.median(spread))
            deviation = max(1.4826 * float(np.median(np.abs(spread - middle))), 1e-3 * abs(middle))
            far = numbers[np.abs(spread - middle) > FAR * deviation]
            which = (
                f"samples {far[:10].tolist()}{' and more' if far.size > 10 else ''}"
                if far.size
                else "no sample"
            )
            yield Finding(
                f"outliers of {field}",
                True,
                f"{which} with a range beyond {FAR:g} robust deviations ({deviation:.3g}) from the median {middle:.3g}",
            )


def _of_dataset(data: xr.Dataset, name: str, ranges: _Ranges) -> Iterator[Finding]:
    faults = schema.faults(data)
    yield Finding(f"{name} schema", not faults, "; ".join(faults) or f"follows schema {schema.SCHEMA}")
    if faults:
        return
    same = stored_hash_matches(data)
    yield Finding(
        f"{name} content",
        same,
        "values are those that were written" if same else "values differ from the stored hash",
    )
    fields = schema.state_variables(data)
    for field in fields:
        yield from _of_field(data, name, field)
        if np.isfinite(data[field].values).all():
            ranges.add(data, field)
    yield _of_frames(data, name, fields)
    for inflow in schema.by_role(data, schema.INFLOW):
        yield _of_ledger(data, name, inflow)
    for law in schema.laws(data):
        yield _of_law(data, name, law)


def _of_field(data: xr.Dataset, name: str, field: str) -> Iterator[Finding]:
    values = data[field].values
    finite = bool(np.isfinite(values).all())
    if not finite:
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(values))[0])
        yield Finding(
            f"{name} {field}", False, f"not finite at ({', '.join(map(str, data[field].dims))}) index {where}"
        )
        return
    frozen = np.flatnonzero((values == values[:, :1]).all(axis=tuple(range(1, values.ndim))))
    moving = frozen.size == 0 or values.shape[1] == 1
    detail = f"{values.shape[0]} samples, finite, range [{values.min():.4g}, {values.max():.4g}]"
    yield Finding(
        f"{name} {field}",
        moving,
        detail if moving else f"samples at index {frozen[:5].tolist()} never change in time",
    )


def _of_frames(data: xr.Dataset, name: str, fields: list[str]) -> Finding:
    """Two equal frames in a row, in all fields, with motion before and after: a writer that stumbled."""
    same = np.ones((data.sizes[schema.SAMPLE], data.sizes[schema.TIME] - 1), dtype=bool)
    for field in fields:
        values = data[field].values
        same &= (values[:, 1:] == values[:, :-1]).all(axis=tuple(range(2, values.ndim)))
    before = np.logical_or.accumulate(~same, axis=1)
    after = np.logical_or.accumulate(~same[:, ::-1], axis=1)[:, ::-1]
    places = np.argwhere(same & before & after)
    if places.size == 0:
        return Finding(f"{name} frames", True, "no frame stands still between frames that move")
    sample, time = places[0]
    return Finding(
        f"{name} frames",
        False,
        f"{len(places)} frames equal the one before though the run goes on, the first of sample index {sample} at "
        f"t={data[schema.TIME].values[time + 1]:.4g}",
    )


def _of_ledger(data: xr.Dataset, name: str, inflow: str) -> Finding:
    field = inflow.removeprefix("inflow_")
    values = data[field].values.astype(np.float64)
    total, size = schema.integral(data, values), schema.integral(data, np.abs(values))
    entered = data[inflow].values
    gap = np.abs(total - total[:, :1] - (entered - entered[:, :1]))
    # Stored averages are rounded; the float64 ledger itself closes to 1e-13 (tests/solvers).
    allowed = 1e-12 * (size + 1.0) + np.finfo(data[field].dtype).eps * (size + size[:, :1])
    if "conservation" in schema.laws(data) and f"{schema.X}_bounds" not in data:
        # Values at points say what the total is up to their quadrature.
        tolerance = data[schema.law_variable("conservation", "tolerance")].values
        allowed = allowed + tolerance + tolerance[:, :1]
    return Finding(
        f"{name} wall fluxes",
        bool((gap <= allowed).all()),
        f"mass is initial mass plus inflow within {gap.max():.2g}",
    )


def _of_law(data: xr.Dataset, name: str, law: str) -> Finding:
    rhs, tolerance = (data[schema.law_variable(law, what)].values for what in ("rhs", "tolerance"))
    if law == "conservation":
        field = schema.state_variables(data)[0]
        residual = np.abs(schema.integral(data, data[field].values.astype(np.float64)) - rhs)
    else:
        # What only the solver could see: its own word, taken in double precision.
        residual = np.abs(data[schema.law_variable(law, "residual")].values)
    source = data[schema.law_variable(law, "rhs")].attrs["lawbound_rhs_source"]
    share = residual / np.where(tolerance > 0, tolerance, np.inf)
    share[(tolerance <= 0) & (residual > 0)] = np.inf
    worst = np.unravel_index(np.argmax(share), share.shape)
    ok = bool(np.isfinite(rhs).all() and (residual <= tolerance).all())
    return Finding(
        f"{name} law {law}",
        ok,
        f"residual at most {residual.max():.2g}, closest to its limit {residual[worst]:.2g} of {tolerance[worst]:.2g} "
        f"allowed (sample index {worst[0]}, t={data[schema.TIME].values[worst[1]]:.4g}); right-hand side {source}",
    )
