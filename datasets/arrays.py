"""A dataset from the output of anybody's solver."""

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from lawbound.datasets import schema
from lawbound.datasets.labels import Axis, Boundary, Law, labelled
from lawbound.datasets.provenance import values_hash
from lawbound.datasets.quadrature import jump_error
from lawbound.datasets.split import split_variable

FloatArray = NDArray[np.float64]


def from_arrays(
    u: ArrayLike,
    *,
    t: ArrayLike,
    x: ArrayLike,
    weights: ArrayLike | None = None,
    mass: ArrayLike | None = None,
    mass_source: str = "boundary-data",
    mass_tolerance: ArrayLike | None = None,
    parameters: Mapping[str, ArrayLike] | None = None,
    walls: Mapping[str, ArrayLike] | None = None,
    split: Sequence[str] | None = None,
    problem: str = "custom",
    title: str = "solutions of a user's own solver",
) -> xr.Dataset:
    """A valid dataset from the output of any solver.

    u: (sample, t, x). t: (nt,) and x: (nx,), increasing. weights: quadrature weights along x; the trapezoidal
    rule on x if not given. mass: the known ∫u dx, (sample, t), needed by `conservation`; `mass_source` says
    where it comes from (`analytic`, `boundary-data` or `ledger`). mass_tolerance: a standard deviation, a number or
    (sample, t), by which Σ weights u may miss it, which is how far `conservation` trusts it; ½ h [u] at the sharpest
    place of the first state if not given, which is known beforehand, as the gap of later states is not; 0 for averages over cells. parameters: name
    → (sample,). walls: `x_lo` and `x_hi` → (sample, t). split: one name a sample. Raises `ValueError` for shapes that do
    not match and for values that are not finite.

    >>> u = np.ones((1, 2, 3))
    >>> data = from_arrays(u, t=[0.0, 1.0], x=[0.0, 0.5, 1.0], mass=[[1.0, 1.0]])
    >>> [float(w) for w in data.x_weights]
    [0.25, 0.5, 0.25]
    """
    field, times, points = (np.asarray(a, dtype=np.float64) for a in (u, t, x))
    if field.ndim != 3 or field.shape[1:] != (times.size, points.size):
        raise ValueError(
            f"`u` has shape {field.shape}; with {times.size} times and {points.size} positions it needs "
            f"(sample, {times.size}, {points.size})."
        )
    if not np.isfinite(field).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(field))[0])
        raise ValueError(
            f"`u` is not finite at (sample, t, x) index {where}; a dataset holds finite values only."
        )
    n, nt, nx = field.shape
    w = _trapezoid(points) if weights is None else _shaped("weights", weights, (nx,))
    laws = {}
    if mass is not None:
        if mass_source not in schema.RHS_SOURCES:
            raise ValueError(f"mass_source={mass_source!r}; say one of {', '.join(schema.RHS_SOURCES)}.")
        rhs = _shaped("mass", mass, (n, nt))
        residual = field @ w - rhs
        # Nothing is known of the foreign scheme: its own gap is what its data allow. It says what the truth is off by, and so is
        # for checking the data, not for imposing the law on predictions of them.
        tolerance = np.maximum(np.abs(residual) * (1 + 1e-9), 16 * np.finfo(float).eps * (np.abs(field) @ w))
        laws["conservation"] = Law(rhs, mass_source, residual, tolerance)
        missed = _missed(field[:, 0], points, mass_tolerance, (n, nt))
    elif mass_tolerance is not None:
        raise ValueError("`mass_tolerance` says how far `mass` is trusted; give `mass` as well.")
    data = labelled(
        {"u": field},
        times=times,
        axes={schema.X: Axis(points, w, None)},
        boundaries=[
            Boundary("u", side, "dirichlet", _shaped(side, values, (n, nt)))
            for side, values in (walls or {}).items()
        ],
        laws=laws,
        attributes={
            "title": title,
            "lawbound_problem": problem,
            "references": "none given",
            "comment": "none given",
        },
        config={
            "problem": problem,
            "made_by": "lawbound.from_arrays",
            "values_sha256": values_hash(field, times, points),
        },
        dtype=np.asarray(u).dtype if np.asarray(u).dtype == np.float32 else np.float64,
        source="a user's own solver, through lawbound.from_arrays",
    )
    if mass is not None:
        attributes = {
            "long_name": "standard deviation of the sum over points about the integral that the law gives"
            + (", from the first state" if mass_tolerance is None else ""),
            "units": "1",
            schema.ROLE: schema.LAW_QUADRATURE,
            "lawbound_law": "conservation",
        }
        data[schema.law_variable("conservation", "quadrature")] = (
            (schema.SAMPLE, schema.TIME),
            missed,
            attributes,
        )
    for name, values in (parameters or {}).items():
        attributes = {"long_name": f"parameter {name}", "units": "1", schema.ROLE: schema.PARAMETER}
        data[name] = ((schema.SAMPLE,), _shaped(name, values, (n,)), attributes)
    if split is not None:
        data["split"] = split_variable(split, [name for name in ("train", "valid", "test") if name in split])
    schema.require(data, "The dataset made from your arrays")
    return data


def _missed(
    start: FloatArray, points: FloatArray, given: ArrayLike | None, shape: tuple[int, int]
) -> FloatArray:
    """By how much the quadrature may miss the mass, (sample, t)."""
    if given is None:
        error = jump_error(start, [points], [float(points[-1] - points[0])])
        return np.repeat(error[:, None], shape[1], axis=1)
    values = np.asarray(given, dtype=np.float64)
    values = np.full(shape, float(values)) if values.ndim == 0 else values
    if values.shape != shape or not np.isfinite(values).all() or (values < 0.0).any():
        raise ValueError(
            f"`mass_tolerance` has shape {values.shape}, or values that are negative or not finite; give a number ≥ 0, or "
            f"finite ones of shape {shape}."
        )
    return values


def _shaped(name: str, values: ArrayLike, shape: tuple[int, ...]) -> FloatArray:
    array = np.asarray(values, dtype=np.float64)
    if array.shape != shape or not np.isfinite(array).all():
        raise ValueError(
            f"`{name}` has shape {array.shape} or values that are not finite; needed are finite values of shape {shape}."
        )
    return array


def _trapezoid(x: FloatArray) -> FloatArray:
    gaps = np.diff(x)
    return np.asarray(0.5 * (np.append(gaps, 0.0) + np.append(0.0, gaps)))
