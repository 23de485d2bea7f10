"""Fourier layers against the formula they stand for, and the operator made of them."""

import itertools

import pytest
import torch

from lawbound.surrogates.fourier_layer import SpectralConvolution
from lawbound.surrogates.fourier_operator import FourierOperator, WallChannel
from lawbound.surrogates.origin import Axis


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
    assert (low - high).abs().max() < (0.02 if axis is RING else 0.12) * size


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
        assert {points: network._padded(trained, points) for points in sizes} == sizes


def mirrored(values, dims):
    """The field and its mirror image, a whole period."""
    for dim in dims:
        values = torch.cat([values, values.flip(dim).narrow(dim, 1, values.shape[dim] - 2)], dim)
    return values


@pytest.mark.parametrize("grid", [(9,), (7, 12)])
def test_a_mirrored_layer_is_a_layer_of_the_field_and_its_image(grid):
    torch.manual_seed(0)
    modes, dims = (3,) * len(grid), range(1, 1 + len(grid))
    layer = SpectralConvolution(2, 2, modes, kinds=("nodes",) * len(grid)).double()
    whole = SpectralConvolution(2, 2, modes).double()
    whole.load_state_dict(layer.state_dict())
    u = torch.randn(2, *grid, 2, dtype=torch.float64)
    twice = whole.kernel(mirrored(u, dims))
    for dim, n in zip(dims, grid, strict=True):
        twice = twice.narrow(dim, 0, n)
    torch.testing.assert_close(layer.kernel(u), twice)


@pytest.mark.parametrize("kind", ["nodes", "cells"])
def test_a_mirrored_layer_of_ones_gives_back_what_it_resolves(kind):
    layer = SpectralConvolution(1, 1, (4, 5), kinds=("period", kind)).double()
    with torch.no_grad():
        layer.weight.zero_()
        layer.weight[..., 0] = 1.0
    x = torch.linspace(0, 1, 17) if kind == "nodes" else (torch.arange(17) + 0.5) / 17
    t = torch.arange(12) / 12
    u = (torch.cos(2 * torch.pi * 3 * t)[:, None] * (1 + torch.cos(torch.pi * 4 * x)))[
        None, ..., None
    ].double()
    torch.testing.assert_close(layer.kernel(u), u, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("axis", "coarse", "fine"), [(NODES, 33, 65), (CELLS, 32, 64)], ids=["nodes", "cells"]
)
def test_a_mirrored_operator_told_its_walls_everywhere_knows_no_resolution(axis, coarse, fine):
    walls = (WallChannel(1, 0, True), WallChannel(1, 0, False))
    network = operator([axis(coarse)], mirrored=[True], walls=walls)

    def said(n):
        one = axis(n)
        x = one.first + one.step * torch.arange(n)
        return network(torch.stack([torch.cos(3 * x), torch.full_like(x, 0.7)])[None])[0, 0].detach()

    few, many = said(coarse), said(fine)
    there = many[::2] if axis is NODES else (many[::2] + many[1::2]) / 2
    assert float((few - there).abs().max()) < 0.05 * float(many.abs().max())


def test_walls_reach_every_layer_of_an_operator_that_is_told_them():
    network = operator([NODES(17)], walls=(WallChannel(1, 0, True),))
    channels = torch.randn(2, 2, 17)
    with torch.no_grad():
        network.lift.weight[:, 1] = 0.0
        before = network(channels)
        channels[:, 1] += 1.0
        assert float((network(channels) - before).abs().max()) > 1e-4
    with pytest.raises(TypeError, match="cannot be opened"):
        network.opened()
