"""Lifts meet their conditions to round-off, reach into the domain smoothly, and learn their lengths."""

import numpy as np
import pytest
import torch

from lawbound.constraints.constraint import Admissible
from lawbound.constraints.operator import KernelLift, conditions
from lawbound.constraints.sets import Box, Rows
from lawbound.datasets.layout import Layout

D = torch.float64


def fixed(layout, points, values, samples=2, times=3):
    lower = np.full((samples, times, layout.size), -np.inf)
    upper = -lower
    lower[..., points] = upper[..., points] = values
    return Box(lower, upper, "walls")


def stencils(n, h):
    """u' at the left, u' + 2 u at the right, second order, on a line of n points."""
    rows = np.zeros((2, n))
    rows[0, :3] = np.array([-1.5, 2.0, -0.5]) / h
    rows[1, -3:] = np.array([0.5, -2.0, 1.5]) / h
    rows[1, -1] += 2.0
    return rows


@pytest.mark.parametrize(("dtype", "close"), [(torch.float64, 1e-12), (torch.float32, 2e-6)])
@pytest.mark.parametrize("kind", ["values", "derivatives", "with mass"])
def test_conditions_hold_to_round_off(dtype, close, kind):
    n = 65
    x = np.linspace(0.0, 1.0, n)
    layout = Layout(("u",), ("x",), (n,))
    rng = np.random.default_rng(0)
    rows = stencils(n, x[1]) if kind == "derivatives" else np.full((1, n), 1.0 / n)
    given = Rows(
        rows, rng.normal(size=(2, 3, len(rows))), np.zeros((2, 3, len(rows))), ("a", "b")[: len(rows)]
    )
    walls = None if kind == "derivatives" else fixed(layout, [0, n - 1], rng.normal(size=(2, 3, 2)))
    found = conditions(Admissible(layout, None if kind == "values" else given, walls))
    lift = KernelLift(found.weights, [x], kernel="matern-5/2" if kind == "derivatives" else "exponential")
    v, rhs = torch.randn(2, 3, n, dtype=dtype), torch.from_numpy(found.rhs)
    u = lift(v, rhs)
    assert u.dtype == dtype
    gap = (u.double() @ torch.from_numpy(found.weights).mT - rhs).abs()
    size = u.double().abs() @ torch.from_numpy(np.abs(found.weights)).mT + rhs.abs()
    assert (gap <= close * size).all()
    torch.testing.assert_close(lift(u, rhs), u, rtol=0.0, atol=100 * close)  # and meeting them twice is once


def test_the_lift_is_continuous_at_the_wall_under_refinement():
    jumps = []
    for n in (64, 256, 1024):
        x = np.linspace(0.0, 1.0, n)
        found = conditions(
            Admissible(Layout(("u",), ("x",), (n,)), None, fixed(Layout(("u",), ("x",), (n,)), [0], 1.5))
        )
        u = KernelLift(found.weights, [x])(torch.zeros(2, 3, n, dtype=D), torch.from_numpy(found.rhs))
        jumps.append(float((u[..., 1] - 1.5).abs().max().detach()))
    assert jumps[1] < 0.3 * jumps[0] and jumps[2] < 0.3 * jumps[1]


def test_the_lift_does_not_depend_on_the_grid():
    def at(n):
        x = np.linspace(0.0, 1.0, n)
        layout = Layout(("u",), ("x",), (n,))
        found = conditions(Admissible(layout, None, fixed(layout, [0, n - 1], [1.0, -0.5])))
        v = torch.sin(torch.from_numpy(3.0 * x)).expand(2, 3, n)
        return KernelLift(found.weights, [x], length=0.2)(v, torch.from_numpy(found.rhs))

    torch.testing.assert_close(at(41), at(81)[..., ::2], rtol=0.0, atol=1e-12)


def test_walls_of_a_plane_share_their_corners_and_refuse_to_disagree():
    ny, nx = 9, 12
    layout = Layout(("u",), ("y", "x"), (ny, nx))
    truth = np.random.default_rng(1).normal(size=(2, 3, ny, nx))
    numbers = np.arange(ny * nx).reshape(ny, nx)
    sides = [numbers[:, 0], numbers[:, -1], numbers[0], numbers[-1]]
    rows = np.concatenate([np.eye(layout.size)[side] for side in sides])
    rhs = np.concatenate([truth.reshape(2, 3, -1)[..., side] for side in sides], axis=-1)
    labels = tuple(
        f"{name}[{i}]"
        for name, side in zip(("x_lo", "x_hi", "y_lo", "y_hi"), sides, strict=True)
        for i in range(len(side))
    )
    found = conditions(Admissible(layout, Rows(rows, rhs, np.zeros_like(rhs), labels)))
    assert len(found.weights) == 2 * (nx + ny) - 4
    lift = KernelLift(found.weights, [np.linspace(0, 1, ny), np.linspace(0, 2, nx)])
    u = (
        lift(torch.zeros(2, 3, ny * nx, dtype=D), torch.from_numpy(found.rhs))
        .detach()
        .numpy()
        .reshape(truth.shape)
    )
    for part in np.s_[..., 0], np.s_[..., -1], np.s_[..., 0, :], np.s_[..., -1, :]:
        np.testing.assert_allclose(u[part], truth[part], atol=1e-11)
    rhs = rhs.copy()
    rhs[1, 2, 2 * ny] += 0.1  # y_lo at the corner with x_lo
    with pytest.raises(ValueError, match=r"contradicts `.*\[0\]` by 0\.1 at \(sample, t\) index \(1, 2\)"):
        conditions(Admissible(layout, Rows(rows, rhs, np.zeros_like(rhs), labels)))


def test_lengths_are_learned_end_to_end():
    n = 101
    x = torch.linspace(0.0, 1.0, n, dtype=D)
    truth = torch.exp(-x / 0.15).expand(1, 1, n)
    lift = KernelLift(np.eye(n)[:1], [x.numpy()], length=0.02)
    step = torch.optim.Adam(lift.parameters(), lr=0.05)
    for _ in range(300):
        step.zero_grad()
        (lift(torch.zeros(1, 1, n, dtype=D), truth[..., :1]) - truth).square().sum().backward()
        step.step()
    assert float(lift.log_length.detach().exp()) == pytest.approx(0.15, rel=0.01)


def test_bad_input_is_refused():
    layout = Layout(("u",), ("x",), (5,))
    with pytest.raises(ValueError, match=r"needed are \(m, 5\)"):
        KernelLift(np.ones((1, 4)), [np.linspace(0, 1, 5)])
    with pytest.raises(ValueError, match="not a kernel"):
        KernelLift(np.ones((1, 5)), [np.linspace(0, 1, 5)], kernel="gauss")
    with pytest.raises(ValueError, match="length"):
        KernelLift(np.ones((1, 5)), [np.linspace(0, 1, 5)], length=0.0)
    with pytest.raises(ValueError, match="no equality"):
        conditions(Admissible(layout, None, fixed(layout, [], 0.0)))
