"""Fourier layers against the formula they stand for, and the operator made of them."""

import itertools

import pytest
import torch

from lawbound.surrogates.fourier_layer import SpectralConvolution
from lawbound.surrogates.fourier_operator import FourierOperator
from lawbound.surrogates.origin import Axis
from lawbound.surrogates.wall_features import REACHES, WallFeatures


def by_fast_transforms(layer, u):
    """The same by whole transforms and complex weights, slice by slice, as the original code does it."""
    dims = tuple(range(1, u.ndim - 1))
    spectrum = torch.fft.rfftn(u, dim=dims)
    out = torch.zeros(*spectrum.shape[:-1], layer.weight.shape[2] // 2, dtype=spectrum.dtype)
    real, imaginary = layer.weight.chunk(2, dim=-1)
    kept = [[*range(m), *range(-m, 0)] for m in layer.modes[:-1]] + [list(range(layer.modes[-1]))]
    for weight, frequency in zip(torch.complex(real, imaginary), itertools.product(*kept), strict=True):
        where = (slice(None), *frequency)
        out[where] = spectrum[where] @ weight
    return torch.fft.irfftn(out, s=u.shape[1:-1], dim=dims)


@pytest.mark.parametrize(
    ("grid", "modes"), [((16,), (5,)), ((15,), (7,)), ((12, 18), (4, 6)), ((11, 9), (5, 4)), ((8, 10, 12), (3, 2, 4))]
)  # fmt: skip
def test_the_layer_is_transform_multiply_transform_back(grid, modes):
    torch.manual_seed(0)
    layer = SpectralConvolution(3, 4, modes)
    u, rest = torch.randn(2, *grid, 3), torch.randn(2, *grid, 4)
    torch.testing.assert_close(layer(u, rest), by_fast_transforms(layer, u) + rest, rtol=1e-4, atol=1e-5)


def test_gradients_are_those_of_the_fast_transforms():
    torch.manual_seed(0)
    layer = SpectralConvolution(3, 2, (3, 4))
    u, weights = torch.randn(2, 8, 10, 3, requires_grad=True), torch.randn(2, 8, 10, 2)
    ours = torch.autograd.grad((weights * layer(u, torch.zeros(2, 8, 10, 2))).sum(), [u, layer.weight])
    theirs = torch.autograd.grad((weights * by_fast_transforms(layer, u)).sum(), [u, layer.weight])
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_too_many_frequencies_for_the_grid_are_refused():
    layer = SpectralConvolution(1, 1, (5, 3))
    with pytest.raises(ValueError, match="5 frequencies need 10 points or more, axis 0 has 8"):
        layer(torch.zeros(1, 8, 8, 1), torch.zeros(1, 8, 8, 1))


def operator(axes, **changes):
    torch.manual_seed(0)
    options = {"modes": 4, "width": 8, "blocks": 2, "padding": 0.125} | changes
    return FourierOperator(2, 1, axes, **options)


def test_the_original_network_over_space_and_time_has_2368001_parameters():
    axes = [Axis(25, 0.0, 1.0), Axis(500, 0.0, 1.0)]
    network = FourierOperator(3, 1, axes, modes=12, width=32, blocks=4, padding=0.02)
    assert sum(parameter.numel() for parameter in network.parameters()) == 2_368_001


NODES = lambda n: Axis(n, 0.0, 1.0)  # noqa: E731
CELLS = lambda n: Axis(n, 0.5 / n, 1 - 0.5 / n, cells=True)  # noqa: E731
RING = lambda n: Axis(n, 0.0, 1 - 1 / n, periodic=True)  # noqa: E731


@pytest.mark.parametrize(
    ("axis", "coarse", "fine"), [(NODES, 33, 65), (CELLS, 32, 64), (RING, 32, 64)], ids=["nodes", "cells", "ring"]
)  # fmt: skip
@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_a_function_sampled_finer_gives_the_same_function(axis, coarse, fine, dimensions):
    """Up to aliasing: σ makes frequencies that a grid does not hold, and padding breaks smoothness."""
    if dimensions == 3:
        coarse, fine = (16 + coarse % 2, 32 + fine % 2)

    def sampled(n):
        one = axis(n)
        points = one.first + one.step * torch.arange(n)
        grids = torch.meshgrid(*[points] * dimensions, indexing="ij")
        waves = [sum((2 * torch.pi * (x + k)).sin() for k, x in enumerate(grids, 1)), grids[0].cos() * 0 + 1]
        return torch.stack(waves)[None]

    network = operator([axis(coarse)] * dimensions)
    with torch.no_grad():
        low, high = network(sampled(coarse)), network(sampled(fine))
    if axis is CELLS:  # cells do not nest; the centres of pairs lie between those of the finer ones
        for dim in range(2, 2 + dimensions):
            high = (
                high.index_select(dim, torch.arange(0, fine, 2))
                + high.index_select(dim, torch.arange(1, fine, 2))
            ) / 2
    else:
        for dim in range(2, 2 + dimensions):
            high = high.index_select(dim, torch.arange(0, fine, 2))
    size = (low - low.mean()).abs().max()
    # At nodes, ends that count for a whole step of each grid alone make 0.004, 0.02 and 0.01.
    allowed = {RING: 0.02, CELLS: 0.12, NODES: 0.0025 * dimensions}[axis]
    assert (low - high).abs().max() < allowed * size


def test_a_periodic_operator_commutes_with_shifts():
    network = operator([RING(32)])
    u = torch.randn(1, 2, 32)
    with torch.no_grad():
        torch.testing.assert_close(network(u.roll(5, -1)), network(u).roll(5, -1), rtol=1e-4, atol=1e-5)


def test_padding_has_the_same_length_at_any_resolution():
    for axis, sizes in (
        (NODES, {33: 36, 65: 72, 129: 144}),
        (CELLS, {32: 36, 64: 72}),
        (RING, {32: 32, 64: 64}),
    ):
        trained = axis(min(sizes))
        network = operator([trained])
        assert {points: network._padded(0, points) for points in sizes} == sizes


# Mirrors at walls, and what walls say in every block.


@pytest.mark.parametrize("end", ["whole", "half"])
@pytest.mark.parametrize(("grid", "axis"), [((9,), 0), ((9, 8), 0), ((8, 9), 1)])
def test_a_mirrored_layer_is_the_layer_on_the_whole_period_of_the_image(end, grid, axis):
    torch.manual_seed(0)
    modes = [3] * len(grid)
    ends = ["open"] * len(grid)
    ends[axis] = end
    layer = SpectralConvolution(2, 2, modes, ends=ends)
    u, rest = torch.randn(2, *grid, 2), torch.randn(2, *grid, 2)
    image = u.flip(1 + axis) if end == "half" else u.flip(1 + axis).narrow(1 + axis, 1, grid[axis] - 2)
    whole = torch.cat([u, image], dim=1 + axis)
    expected = by_fast_transforms(layer, whole).narrow(1 + axis, 0, grid[axis]) + rest
    torch.testing.assert_close(layer(u, rest), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("coarse", "fine", "cells"), [(17, 33, False), (16, 48, True)])
def test_a_mirrored_operator_gives_the_same_function_on_a_finer_grid(coarse, fine, cells):
    torch.manual_seed(0)
    step = 1.0 / coarse
    axis = Axis(coarse, step / 2, 1 - step / 2, cells=True) if cells else Axis(coarse, 0.0, 1.0)
    network = FourierOperator(
        1, 1, [axis], modes=5, width=6, blocks=2, padding=0.25, mirror=[0], walls=None
    ).eval()

    def at(points):
        x = (torch.arange(points) + 0.5) / points if cells else torch.linspace(0, 1, points)
        return network(torch.cos(torch.pi * x)[None, None])[0, 0].detach()

    same = at(fine)[1::3] if cells else at(fine)[::2]
    # The nonlinearity folds a little back from beyond the grid.
    torch.testing.assert_close(same, at(coarse), rtol=0.0, atol=0.02 * float(at(coarse).abs().max()))


def test_wall_features_fade_from_the_wall_that_they_belong_to():
    features = WallFeatures.of(("u", "t", "x", "nu", "bc_u_x_lo", "bc_u_x_hi"))
    assert WallFeatures.of(("u", "t", "x", "nu")) is None
    channels = torch.zeros(1, 6, 3, 11)
    channels[:, 2] = torch.linspace(-1, 1, 11)
    channels[:, 4], channels[:, 5] = 2.0, -1.0
    found = features(channels)
    assert found.shape == (1, 3, 11, features.size) and features.size == 2 * len(REACHES)
    low, high = found[0, 0, :, :3], found[0, 0, :, 3:]
    assert (low[:, 0] == 2.0).all() and (high[:, 0] == -1.0).all()
    torch.testing.assert_close(low[:, 1], 2.0 * torch.exp(-torch.linspace(0, 1, 11) / 0.1))
    torch.testing.assert_close(high, -0.5 * low.flip(0))
