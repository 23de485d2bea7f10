"""Known masses: weights of a region, what entered through walls, and how far a quadrature may be off."""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from lawbound.constraints import geometry
from lawbound.constraints.constraint import known_everywhere
from lawbound.constraints.geometry import Line
from lawbound.datasets import quadrature, schema

FloatArray = NDArray[np.float64]
#: (a, b) of x, or on a plane ((a, b) of x, (a, b) of y).
Region = tuple[float, float] | tuple[tuple[float, float], tuple[float, float]]

_WRITTEN = 1e-9


def weights(data: xr.Dataset, region: Region | None) -> FloatArray:
    """Quadrature weights of a region, shaped like a field in space; raises `ValueError` unless its ends are on the grid."""
    if region is None:
        return schema.weights(data)
    axes = schema.axes(data)
    spans: tuple[object, ...] = region if isinstance(region[0], tuple) else (region,)
    if len(spans) != len(axes) or any(not isinstance(span, tuple) or len(span) != 2 for span in spans):
        needed = "(a, b)" if len(axes) == 1 else "((a, b) of x, (a, b) of y)"
        raise ValueError(f"`Conservation` got the region {region}; this domain needs {needed}.")
    along = [_span(Line.of(data, axis), span) for axis, span in zip(axes, reversed(spans), strict=True)]  # type: ignore[arg-type]
    return along[0] if len(along) == 1 else np.multiply.outer(*along)


def _span(line: Line, span: tuple[float, float]) -> FloatArray:
    """Widths of the cells between two faces, or the trapezoidal rule between two points."""
    marks = line.points if line.faces is None else line.faces
    first, last = (int(np.abs(marks - end).argmin()) for end in span)
    for end, mark in zip(span, (marks[first], marks[last]), strict=True):
        if abs(end - mark) > _WRITTEN * line.length:
            raise ValueError(
                f"The region ({span[0]:g}, {span[1]:g}) of {line.name} ends between {'points' if line.faces is None else 'faces'}; "
                f"the one nearest to {end:g} is {mark:.9g}."
            )
    if first >= last:
        raise ValueError(f"The region ({span[0]:g}, {span[1]:g}) of {line.name} is empty; give a < b.")
    inside = np.zeros(line.points.size)
    if line.faces is not None:
        inside[first:last] = np.diff(line.faces)[first:last]
    else:
        gaps = np.diff(line.points)[first:last]
        inside[first:last] += 0.5 * gaps
        inside[first + 1 : last + 1] += 0.5 * gaps
    return inside


def by_fluxes(
    data: xr.Dataset, fields: Sequence[str], w: FloatArray, fluxes: tuple[str, ...] | None, noise: float
) -> tuple[FloatArray, FloatArray]:
    """Σ w u(t_0) + ∫ fluxes dt and its standard deviation, (sample, t) both.

    Steps are integrated by cubics with the values and slopes at their ends; what that changes beside the
    trapezoidal rule, summed up, counts as uncertain. Raises `ValueError` where the initial state or a flux is missing.
    """
    start = sum(geometry.initial_state(data, field, "conservation") @ w.ravel() for field in fields)
    if fluxes is None:
        rates = [rate for field in fields for rate in _wall_rates(data, field)]
    else:
        rates = [_rate(data, name) for name in fluxes]
    times = np.asarray(data[schema.TIME].values, dtype=np.float64)
    steps = np.diff(times)
    mass = np.repeat(np.asarray(start)[:, None], times.size, axis=1)
    if times.size < 2 or not rates:
        return mass, np.zeros_like(mass)
    total: FloatArray = np.sum(rates, axis=0)
    slopes = np.gradient(total, times, axis=1, edge_order=2 if times.size > 2 else 1)
    corrections = -(steps**2) / 12.0 * np.diff(slopes, axis=1)
    entered = 0.5 * steps * (total[:, 1:] + total[:, :-1]) + corrections
    mass[:, 1:] += np.cumsum(entered, axis=1)
    deviation = np.zeros_like(mass)
    deviation[:, 1:] = np.hypot(
        np.cumsum(np.abs(corrections), axis=1), np.sqrt(len(rates) * np.cumsum((noise * steps) ** 2))
    )
    return mass, deviation


def _rate(data: xr.Dataset, name: str) -> FloatArray:
    if name not in data or set(data[name].dims) != {schema.SAMPLE, schema.TIME}:
        found = f"has dimensions {data[name].dims}" if name in data else "is missing"
        raise ValueError(
            f"`conservation` needs the flux `{name}` over (sample, t), which {found}; add it, or name another in `fluxes`."
        )
    return known_everywhere(data, name)


def _wall_rates(data: xr.Dataset, field: str) -> list[FloatArray]:
    """What each wall lets in, (sample, t): its flux, on a plane integrated along it."""
    rates = []
    for side in geometry.sides_of(data):
        kind = geometry.kind_of(data, field, side)
        if kind == "periodic":
            continue
        if kind != "neumann":
            raise ValueError(
                f"`conservation` from walls: the {side} wall of `{field}` is {kind or 'not given'}, so that its flux is not "
                "known. Name the fluxes' variables in `fluxes`, or take the mass from the law."
            )
        wall = geometry.wall_of(data, field, side)
        across = (
            np.ones(1)
            if schema.Y not in data.dims
            else Line.of(data, "x" if wall.axis == "y" else "y").weights
        )
        rates.append(wall.values @ across)
    return rates


def jump_error(data: xr.Dataset, field: str, who: str) -> FloatArray:
    """How far a quadrature may miss the initial state's integral, (sample,); see `datasets.quadrature.jump_error`."""
    lines = [Line.of(data, axis) for axis in schema.axes(data)]
    start = geometry.initial_state(data, field, who)
    states = start.reshape(len(start), *(line.points.size for line in lines))
    return quadrature.jump_error(states, [line.points for line in lines], [line.length for line in lines])
