"""Data that the tests of constraints share: small sets of every family, fields of known functions on any grid."""

from fnmatch import fnmatch
from functools import cache

import numpy as np
import pytest
import torch

import lawbound as lb
from lawbound.constraints import enforce
from lawbound.datasets import schema
from lawbound.datasets.labels import Axis, Boundary, labelled
from lawbound.datasets.layout import Layout
from lawbound.surrogates.covariance import Diagonal
from lawbound.surrogates.prediction import Prediction


@cache
def _made(problem, n=3, nx=24, nt=9, **options):
    return lb.generate(problem, n, nx=nx, nt=nt, seed=1, **options)


@pytest.fixture(scope="session")
def made():
    """Small data of a family, made once a session."""
    return _made


def _axis(kind, n, low, high):
    edges = np.linspace(low, high, n + 1)
    if kind == "cells":
        return Axis(0.5 * (edges[1:] + edges[:-1]), np.diff(edges), np.stack([edges[:-1], edges[1:]], axis=1))
    if kind == "period":
        return Axis(edges[:-1], np.diff(edges), None)
    points = np.linspace(low, high, n)
    if kind == "chebyshev":
        points = 0.5 * (low + high) - 0.5 * (high - low) * np.cos(np.pi * np.arange(n) / (n - 1))
    gaps = np.diff(points)
    return Axis(points, 0.5 * (np.append(gaps, 0.0) + np.append(0.0, gaps)), None)


@pytest.fixture(scope="session")
def field_on():
    """A dataset of given functions u(t, x) or u(t, y, x) on cells, uniform points, Chebyshev points or a period."""

    def build(
        functions, grid, walls=(), *, times=(0.0, 0.5, 1.0), domain=(0.0, 1.0), samples=1, **parameters
    ):
        grids = {"x": grid} if "x" not in grid else grid
        axes = {name: _axis(*grids[name], *domain) for name in ("y", "x") if name in grids}
        when = np.asarray(times)
        where = np.meshgrid(when, *(axis.points for axis in axes.values()), indexing="ij")
        fields = {}
        for name, function in functions.items():
            values = function(*where)
            if len(axes) == 1 and grids["x"][0] == "cells":
                # Averages by Gauss–Legendre quadrature, exact to round-off for smooth functions.
                nodes, weights = np.polynomial.legendre.leggauss(12)
                half = 0.5 * axes["x"].weights
                inside = axes["x"].points[:, None] + half[:, None] * nodes
                values = function(when[:, None, None], inside[None]) @ (0.5 * weights)
            fields[name] = np.repeat(np.broadcast_to(values, where[0].shape)[None], samples, axis=0)
        boundaries = [
            Boundary(
                name, side, kind, np.repeat(np.asarray(values, dtype=float)[None], samples, axis=0), *along
            )
            for name, side, kind, values, *along in walls
        ]
        attributes = {
            "title": "known functions",
            "lawbound_problem": "known",
            "references": "none",
            "comment": "none",
        }
        data = labelled(
            fields, times=when, axes=axes, boundaries=boundaries, laws={}, attributes=attributes, config={},
            dtype=np.float64, source="test",
        )  # fmt: skip
        for name, value in parameters.items():
            data[name] = (
                "sample",
                np.broadcast_to(np.asarray(value, dtype=float), samples).copy(),
                {"long_name": name, "lawbound_role": "parameter"},
            )
        return data

    return build


@pytest.fixture(scope="session")
def inputs_only():
    """The dataset with nothing but what a constraint says it reads."""

    def stripped(data, constraint):
        first = [name.split(" ")[0] for name in constraint.inputs]
        kept = [name for name in data.data_vars if any(fnmatch(str(name), one) for one in first)]
        geometry = [name for name in data.data_vars if str(name).endswith(("_weights", "_bounds"))]
        kinds = [str(name) for name in data.data_vars if str(name).startswith("bc_") and name not in kept]
        out = data[[*kept, *geometry, *kinds]]
        out = out.assign({name: out[name].where(False) for name in kinds})  # of which kind other walls are
        for name, *remark in (text.split(" ", 1) for text in constraint.inputs):
            if remark == ["at the start"] or (
                remark == ["for the tolerance on cells"] and "x_bounds" not in data
            ):
                known = out[schema.TIME] == out[schema.TIME][0] if remark == ["at the start"] else False
                out[name] = out[name].where(known)
        return out

    return stripped


@pytest.fixture(scope="session")
def error_of():
    """Mean squared error, after the start, of a noisy prediction without and with a constraint: how much of it is left."""

    def left(constraint, data):
        layout = Layout.of(data, constraint.fields)
        random = torch.Generator().manual_seed(0)
        u = torch.from_numpy(layout.state(data))
        spread = u.std() * (0.01 + 0.05 * torch.rand(u.shape, generator=random, dtype=u.dtype))
        means = (u + spread * torch.randn(u.shape, generator=random, dtype=u.dtype))[None]
        free = Prediction(means, Diagonal(spread[None] ** 2), data, constraint.fields)
        lawful = enforce(free, constraint).prediction
        before, after = (float(((p.mean - u)[:, 1:] ** 2).mean()) for p in (free, lawful))
        return after / before

    return left


@pytest.fixture(scope="session")
def same_set():
    """Whether two admissible sets are the same, part by part."""

    def compare(one, other):
        assert one.labels == other.labels
        for part in ("rows", "box", "order", "phases", "variation"):
            a, b = getattr(one, part), getattr(other, part)
            assert (a is None) == (b is None)
            if a is not None:
                for name in vars(a):
                    np.testing.assert_equal(getattr(a, name), getattr(b, name))

    return compare
