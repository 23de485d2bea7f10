"""Corrected kernels: identities of elimination, exact walls, what layers cost, and what the published code gets wrong."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from lawbound.constraints.boon import Corrected
from lawbound.constraints.boon_quirks import AsReleased, Quirks
from lawbound.constraints.elimination import change, damped_solve, kept
from lawbound.constraints.kernel_correction import KernelCorrection
from lawbound.constraints.operator import KernelLift
from lawbound.constraints.wall_closure import End, functional, slope
from lawbound.surrogates.fourier_operator import FourierOperator
from lawbound.surrogates.normalised import Normalised
from lawbound.surrogates.origin import Axis
from lawbound.surrogates.surrogate import Opened, Strip

D = torch.float64
SHAPES = {1: (16,), 2: (6, 16), 3: (4, 8, 10)}
XX = ("x_lo", "x_hi")


class Dense:
    """A layer on a line with any kernel, (N, N, in, out), that counts what it is asked."""

    def __init__(self, kernel, weight=None, bias=None):
        self.matrix, self.weight, self.bias = kernel, weight, bias
        self.products = self.around = self.probes = 0

    def kernel(self, u):
        self.products += 1
        return torch.einsum("xyio,byi->bxo", self.matrix, u)

    def coefficients(self, u, grid, strip=None):
        self.products += strip is None
        matrix = self.matrix if strip is None else self.matrix[:, list(strip.layers)]
        return torch.einsum("xyio,byi->bxo", matrix, u)

    def units(self, grid, strip):
        self.probes += len(strip.layers)
        return self.matrix[:, list(strip.layers)].permute(1, 2, 0, 3).flatten(0, 1)

    def values(self, coefficients, grid, strip=None):
        return coefficients if strip is None else coefficients[:, list(strip.layers)]

    def pointwise(self, u):
        self.around += 1
        return (u @ self.weight if self.weight is not None else torch.zeros_like(u)) + (self.bias or 0.0)


class Counted:
    """A layer in front of another one, which counts whole products, unit vectors, and samples in either."""

    def __init__(self, layer):
        self.layer, self.calls, self.samples = layer, {"kernel": 0, "units": 0, "pointwise": 0}, []

    def kernel(self, u):
        return self._told("kernel", len(u), self.layer.kernel(u))

    def coefficients(self, u, grid, strip=None):
        return self.layer.coefficients(u, grid, strip)

    def units(self, grid, strip):
        return self._told("units", len(strip.layers), self.layer.units(grid, strip))

    def values(self, coefficients, grid, strip=None):
        found = self.layer.values(coefficients, grid, strip)
        return found if strip is not None else self._told("kernel", len(coefficients), found)

    def pointwise(self, u):
        self.calls["pointwise"] += 1
        return self.layer.pointwise(u)

    def _told(self, what, samples, found):
        self.calls[what] += 1
        self.samples.append(samples)
        return found


class Counting(nn.Module):
    """A network that shows counted layers."""

    def __init__(self, network):
        super().__init__()
        self.network = network
        self.layers = [Counted(layer) for layer in network.opened().layers]

    def opened(self):
        return replace(self.network.opened(), layers=self.layers)


def network(dimensions=1, *, double=True, width=5, blocks=2, padding=0.125, outputs=1, seed=0, **axis):
    torch.manual_seed(seed)
    axes = [Axis(n, 0.0, 1.0) for n in SHAPES[dimensions]]
    axes[-1] = replace(axes[-1], **axis)
    made = FourierOperator(2, outputs, axes, modes=3, width=width, blocks=blocks, padding=padding)
    for parameter in made.parameters():  # of either sign, as after training
        nn.init.normal_(parameter, std=0.3)
    return made.double() if double else made


def channels(dimensions, batch=3, dtype=D):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(batch, 2, *SHAPES[dimensions], generator=generator, dtype=dtype)


def walls(dimensions, sides, batch=3, grid=None):
    grid, generator = grid or SHAPES[dimensions], torch.Generator().manual_seed(2)
    axis = {"x": len(grid) - 1, "y": len(grid) - 2}
    shapes = {side: [n for i, n in enumerate(grid) if i != axis[side[0]]] for side in sides}
    return {side: torch.randn(batch, *shape, generator=generator, dtype=D) for side, shape in shapes.items()}


def at(u, side):
    return u.select(-1 if side[0] == "x" else -2, 0 if side.endswith("lo") else -1)


def ends(u, kinds, dim=-2):
    index = {"x_lo": 0, "x_hi": u.shape[dim] - 1}
    value = torch.tensor(0.7, dtype=u.dtype)
    return [
        End(side, kind, dim, index[side], 1 / (u.shape[dim] - 1), value.expand(u.shape[0], 1))
        for side, kind in kinds.items()
    ]


def both(kind):
    return dict.fromkeys(XX, kind)


# Identities


def scalar(n=20, seed=3):
    generator = torch.Generator().manual_seed(seed)
    matrix = torch.randn(n, n, generator=generator, dtype=D) / n + torch.eye(n, dtype=D)
    return Dense(matrix[:, :, None, None]), torch.randn(2, n, 1, generator=generator, dtype=D)


@pytest.mark.parametrize("rule", ["corrected", "released"])
def test_scalar_kernels_keep_at_each_wall_what_was_there(rule):
    layer, a = scalar()
    k = layer.matrix[:, :, 0, 0]
    walls_ = ends(a, both("dirichlet"))
    if rule == "corrected":
        u = Corrected().eliminated(layer, a, walls_)
    else:
        u = AsReleased(Quirks.released(1)).eliminated(layer.kernel, a, walls_)
    schur = k[0, 0] - k[0, -1] * k[-1, 0] / k[-1, -1]
    assert (u[:, 0] - schur * a[:, 0]).abs().max() <= 1e-14
    assert (u[:, -1] - k[-1, -1] * a[:, -1]).abs().max() <= 1e-14


def test_one_product_and_two_columns_are_the_three_products():
    layer, a = scalar()
    walls_ = ends(a, both("dirichlet"))
    one = Corrected().eliminated(layer, a, walls_)
    assert (layer.products, layer.probes) == (1, 2)
    three = AsReleased(Quirks()).eliminated(layer.kernel, a, walls_)
    assert (one - three).abs().max() <= 1e-14


@pytest.mark.parametrize("side", XX)
def test_one_wall_is_the_reflection_of_its_value(side):
    layer, a = scalar()
    i = 0 if side == "x_lo" else -1
    k = layer.matrix[:, :, 0, 0]
    reflected = a.clone()
    reflected[:, i] = 2 * a[:, i] - (layer.kernel(a)[:, i]) / k[i, i]
    u = Corrected().eliminated(layer, a, ends(a, {side: "dirichlet"}))
    assert (u - layer.kernel(reflected)).abs().max() <= 1e-14
    assert (u[:, i] - k[i, i] * a[:, i]).abs().max() <= 1e-14


def test_right_index_of_the_left_wall_breaks_both_identities():
    layer, a = scalar()
    k = layer.matrix[:, :, 0, 0]
    rule = AsReleased(replace(Quirks(), first_index=True))
    u = rule.eliminated(layer.kernel, a, ends(a, both("dirichlet")))
    assert (u[:, -1] - k[-1, -1] * a[:, -1]).abs().max() > 0.1


def _matrix_layer(width=8, n=20):
    generator = torch.Generator().manual_seed(5)
    matrix = torch.randn(n, n, width, width, generator=generator, dtype=D) / n**0.5
    return Dense(matrix), torch.randn(2, n, width, generator=generator, dtype=D)


def _matrix_identity(u, layer, a):
    """How far what reaches the walls is from what was there."""
    k = layer.matrix
    block = {(i, j): k[i, j].mT for i in (0, -1) for j in (0, -1)}  # (out, in)
    schur = block[0, 0] - block[0, -1] @ torch.linalg.solve(block[-1, -1], block[-1, 0])
    return max(
        float((u[:, 0] - a[:, 0] @ schur.mT).abs().max()),
        float((u[:, -1] - a[:, -1] @ block[-1, -1].mT).abs().max()),
    )


def test_every_channel_of_a_matrix_kernel_keeps_its_wall_and_the_released_code_does_not():
    layer, a = _matrix_layer()
    walls_ = ends(a, both("dirichlet"))
    size = float(layer.kernel(a).abs().max())
    assert _matrix_identity(Corrected().eliminated(layer, a, walls_), layer, a) < 1e-10 * size
    released = AsReleased(Quirks.released(1)).eliminated(layer.kernel, a, walls_)
    assert _matrix_identity(released, layer, a) > 0.3 * size


@pytest.mark.parametrize("dimensions", [2, 3])
def test_elimination_is_exact_at_all_times_and_points_along_the_wall(dimensions):
    """Nothing but the values at a wall reaches it, whatever the layer does to times."""
    made = network(dimensions)
    layer = made.opened().layers[0]
    u = made.opened().lift(channels(dimensions))
    other = u + torch.randn(u.shape, dtype=D)
    for index in (0, SHAPES[dimensions][-1] - 1):
        other.select(-2, index).copy_(u.select(-2, index))
    found = []
    for v in (u, other):
        value = torch.zeros((), dtype=D)
        place = {"x_lo": 0, "x_hi": SHAPES[dimensions][-1] - 1}
        walls_ = [End(s, "dirichlet", -2, i, 0.1, value) for s, i in place.items()]
        out = Corrected(floor=1e-12).eliminated(layer, v, walls_)
        found.append(torch.stack([end.layer(out) for end in walls_]))
    assert (layer.kernel(u) - layer.kernel(other)).abs().max() > 0.1
    assert (found[0] - found[1]).abs().max() < 1e-8
    assert found[0].abs().max() > 1e-3


def test_slopes_are_eliminated_as_values_are():
    layer, a = _matrix_layer(width=3)
    other = a + torch.randn(a.shape, dtype=D, generator=torch.Generator().manual_seed(0))
    other[:, [0, -1]] = a[:, [0, -1]]
    for kinds in (both("neumann"), {"x_lo": "neumann", "x_hi": "dirichlet"}):
        walls_ = ends(a, kinds)
        slopes = [
            torch.stack([functional(Corrected().eliminated(layer, v, walls_), e, slope(3)) for e in walls_])
            for v in (a, other)
        ]
        assert (slopes[0] - slopes[1]).abs().max() < 1e-9 * slopes[0].abs().max()


# Pivots


def test_pivots_keep_their_sign_and_vanishing_ones_do_no_harm():
    for pivot in (2.0, -2.0, -1e-3):
        solved = damped_solve(torch.full((1, 1), pivot, dtype=D), torch.ones(1, 1, dtype=D), 1e-10)
        assert float(solved) == pytest.approx(1 / pivot, rel=1e-14)
    singular = torch.diag(torch.tensor([1.0, -0.0, -1e-14], dtype=D)).requires_grad_()
    solved = damped_solve(singular, torch.tensor([[1.0], [1e-16], [1e-16]], dtype=D), 1e-8)
    solved.sum().backward()
    assert torch.isfinite(singular.grad).all() and solved.abs().max() < 1.1
    nothing = damped_solve(torch.zeros(2, 2, dtype=D), torch.ones(2, 1, dtype=D), 1e-8)
    assert float(nothing.abs().max()) == 0.0


def test_released_guards_lose_signs():
    rule = {g: AsReleased(Quirks(guard=g, tolerance=1e-4)) for g in ("size", "value", "sign")}
    pivots = torch.tensor([-0.5, -1e-6, 1e-6, 0.5])
    found = {name: one._guarded(pivots).tolist() for name, one in rule.items()}
    expected = {
        "size": [-0.5, 1e-4, 1e-4, 0.5],
        "value": [1e-4, 1e-4, 1e-4, 0.5],
        "sign": [-0.5, -1e-4, 1e-4, 0.5],
    }
    for name, values in expected.items():
        assert found[name] == pytest.approx(values)


def test_negative_pivots_leave_elimination_exact():
    layer, a = scalar()
    layer.matrix = -layer.matrix
    u = Corrected().eliminated(layer, a, ends(a, both("dirichlet")))
    assert (u[:, -1] - layer.matrix[-1, -1, 0, 0] * a[:, -1]).abs().max() <= 1e-14
    wrong = AsReleased(replace(Quirks(), guard="value")).eliminated(
        layer.kernel, a, ends(a, both("dirichlet"))
    )
    assert wrong.abs().max() > 1e4


def test_change_is_what_kept_promises_for_complex_blocks():
    generator = torch.Generator().manual_seed(0)
    blocks = torch.randn(4, 2, 3, 2, 3, generator=generator, dtype=torch.complex128)
    values, images = (torch.randn(4, 2, 3, 5, generator=generator, dtype=torch.complex128) for _ in range(2))
    delta = change(blocks, images, values, 1e-12)
    moved = images + torch.einsum("wiojc,wjcb->wiob", blocks, delta)
    torch.testing.assert_close(moved, kept(blocks, values, 1e-12), rtol=1e-10, atol=1e-10)


# Whole networks


RULES = {"corrected": lambda d: Corrected(), "released": lambda d: AsReleased(Quirks.released(d))}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("dimensions", SHAPES)
def test_values_at_walls_are_exact(rule, dimensions):
    sides = (*XX, "y_lo", "y_hi") if dimensions == 3 else XX
    model = KernelCorrection(network(dimensions), dict.fromkeys(sides, "dirichlet"), RULES[rule](dimensions))
    data = walls(dimensions, sides)
    out = model(channels(dimensions), data)
    assert out.shape == (3, 1, *SHAPES[dimensions])
    for side in sides:
        wall, given = at(out[:, 0], side), data[side]
        if side[0] == "x" and dimensions == 3:  # where walls meet, those of y win
            wall, given = wall[..., 1:-1], given[..., 1:-1]
        assert float((wall - given).abs().max().detach()) == 0.0


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("dimensions", [1, 2])
def test_both_ends_of_a_period_are_equal(rule, dimensions):
    model = KernelCorrection(network(dimensions), both("periodic"), RULES[rule](dimensions))
    out = model(channels(dimensions), {})
    assert float((out[..., 0] - out[..., -1]).abs().max().detach()) == 0.0
    plain = network(dimensions)(channels(dimensions))
    assert float((plain[..., 0] - plain[..., -1]).abs().max().detach()) > 1e-3


@pytest.mark.parametrize("dimensions", SHAPES)
def test_slopes_at_walls_are_those_of_the_stencil(dimensions):
    data = walls(dimensions, XX)
    out = KernelCorrection(network(dimensions), both("neumann"), Corrected())(channels(dimensions), data)
    h = 1 / (SHAPES[dimensions][-1] - 1)
    third = torch.tensor([-11.0, 18.0, -9.0, 2.0], dtype=D) / (6 * h)
    found = {"x_lo": out[:, 0, ..., :4] @ third, "x_hi": -out[:, 0, ..., -4:].flip(-1) @ third}
    for side, slopes in found.items():
        assert ((slopes - data[side]).abs() <= 1e-10 * (1 + data[side].abs())).all()


def test_the_released_left_slope_has_lost_its_spacing():
    data = walls(1, XX)
    rules = {
        True: AsReleased(Quirks.released(1)),
        False: AsReleased(replace(Quirks.released(1), unit_slope=False)),
    }
    for lost, rule in rules.items():
        out = KernelCorrection(network(), both("neumann"), rule)(channels(1), data)[:, 0]
        torch.testing.assert_close(out[:, 0] - out[:, 1], data["x_lo"]) if lost else None
        h = 1 / 15
        right = (11 * out[:, -1] - 18 * out[:, -2] + 9 * out[:, -3] - 2 * out[:, -4]) / (6 * h)
        torch.testing.assert_close(right, data["x_hi"], rtol=1e-10, atol=1e-10)
        left = (-11 * out[:, 0] + 18 * out[:, 1] - 9 * out[:, 2] + 2 * out[:, 3]) / (6 * h)
        assert bool(((left - data["x_lo"]).abs() < 1e-10).all()) is not lost


@pytest.mark.parametrize(
    "kinds", [{"x_lo": "dirichlet"}, {"x_hi": "neumann"}, {"x_lo": "neumann", "x_hi": "dirichlet"}]
)
def test_one_sided_and_mixed_walls(kinds):
    data = walls(2, kinds)
    out = KernelCorrection(network(2), kinds, Corrected())(channels(2), data)[:, 0]
    for side, kind in kinds.items():
        end = End(side, kind, -1, 0 if side == "x_lo" else 15, 1 / 15, data[side])
        torch.testing.assert_close(functional(out, end, slope(3)), data[side], rtol=1e-10, atol=1e-10)


def test_hidden_walls_hold_the_data_once_or_twice_as_released():
    made = network(2)
    u, data = made.opened().lift(channels(2)), walls(2, XX)
    for rule, times in ((Corrected(), 1.0), (AsReleased(Quirks.released(2)), 2.0)):
        model = KernelCorrection(made, both("dirichlet"), rule)
        inside = model._ends(made.opened(), data, SHAPES[2], u, inner=True)
        out = rule.layer(made.opened().layers[0], u, inside)
        torch.testing.assert_close(out[:, :6, 0], times * data["x_lo"].unsqueeze(-1).expand(-1, -1, 5))
        # The wall on the right is where the domain ends, not its padding.
        torch.testing.assert_close(out[:, :6, 15], times * data["x_hi"].unsqueeze(-1).expand(-1, -1, 5))


@pytest.mark.parametrize("kind", ["dirichlet", "neumann"])
def test_physical_conditions_hold_outside_of_a_normalised_network(kind):
    outer = Normalised(network(2), [(1.0, 2.0), (0.0, 5.0)], [(40.0, 7.0)]).double()
    model = KernelCorrection(outer, both(kind), Corrected())
    data = {side: 30.0 + 9.0 * values for side, values in walls(2, XX).items()}
    x = channels(2)
    out = model(x, data)[:, 0]
    for side in XX:
        end = End(side, kind, -1, 0 if side == "x_lo" else 15, 1 / 15, data[side])
        torch.testing.assert_close(functional(out, end, slope(3)), data[side], rtol=1e-12, atol=1e-9)
    if kind == "dirichlet":
        assert float((out[..., 0] - data["x_lo"]).abs().max().detach()) == 0.0
    # The same as the inner network, by hand, in its units.
    inner = KernelCorrection(outer.network, both(kind), Corrected())
    shift = 40.0 if kind == "dirichlet" else 0.0
    unit = inner(outer.normalised(x), {side: (values - shift) / 7.0 for side, values in data.items()})
    torch.testing.assert_close(unit[:, 0] * 7.0 + 40.0, out)


@pytest.mark.parametrize(
    ("rule", "kind", "kernel", "units", "pointwise"),
    [
        ("corrected", "dirichlet", 1, 1, 1),
        ("corrected", "neumann", 1, 1, 1),
        ("corrected", "periodic", 1, 0, 1),
        ("released", "dirichlet", 7, 0, 7),
        ("released", "neumann", 6, 0, 6),
        ("released", "periodic", 1, 0, 1),
    ],
)
def test_how_often_a_layer_is_evaluated(rule, kind, kernel, units, pointwise):
    counting = Counting(network())
    data = {} if kind == "periodic" else walls(1, XX, batch=7)
    KernelCorrection(counting, both(kind), RULES[rule](1))(channels(1, batch=7), data)
    for layer in counting.layers:
        assert layer.calls == {"kernel": kernel, "units": units, "pointwise": pointwise}
        if rule == "corrected":  # the batch, and a unit vector for each wall
            assert layer.samples == [2, 7][1 - units :]
        else:
            assert layer.samples == [7] * kernel


@pytest.mark.parametrize("dimensions", [2, 3])
def test_the_released_code_takes_seven_products_in_time_too(dimensions):
    sides = (*XX, "y_lo", "y_hi") if dimensions == 3 else XX
    counting = Counting(network(dimensions))
    rule = RULES["released"](dimensions)
    KernelCorrection(counting, dict.fromkeys(sides, "dirichlet"), rule)(
        channels(dimensions), walls(dimensions, sides)
    )
    assert all(layer.calls == {"kernel": 7, "units": 0, "pointwise": 7} for layer in counting.layers)


def test_without_the_wasted_probes_and_pointwise_layers_five_products_are_left():
    counting = Counting(network())
    rule = AsReleased(replace(Quirks.released(1), probed_twice=False, pointwise=False))
    KernelCorrection(counting, both("dirichlet"), rule)(channels(1), walls(1, XX))
    assert all(layer.calls == {"kernel": 5, "units": 0, "pointwise": 1} for layer in counting.layers)


def test_a_pointwise_layer_is_corrected_for_nothing():
    """Only the walls change, which are closed anyway."""
    layer = network().opened().layers[0]
    u = torch.randn(3, 16, 5, dtype=D)
    changed = AsReleased(Quirks.released(1)).eliminated(layer.pointwise, u, ends(u, both("dirichlet")))
    assert float((changed - layer.pointwise(u))[:, 1:-1].abs().max().detach()) == 0.0


@pytest.mark.parametrize("strip", [Strip(1, (0, 17)), Strip(0, (2, 3)), Strip(1, (4,))])
def test_strips_are_what_the_kernel_makes_of_them_and_there(strip):
    layer, grid = network(2).opened().layers[0], (7, 18)
    count = len(strip.layers)
    part = torch.randn(3, *(count if i == strip.axis else n for i, n in enumerate(grid)), 5, dtype=D)
    whole = torch.zeros(3, *grid, 5, dtype=D).index_copy(1 + strip.axis, torch.tensor(strip.layers), part)
    image = layer.kernel(whole)
    found = layer.coefficients(part, grid, strip)
    torch.testing.assert_close(layer.values(found, grid), image, rtol=1e-12, atol=1e-12)
    there = image.index_select(1 + strip.axis, torch.tensor(strip.layers))
    torch.testing.assert_close(layer.values(found, grid, strip), there, rtol=1e-12, atol=1e-12)
    units = torch.zeros(count, 5, *grid, 5, dtype=D)
    for i, index in enumerate(strip.layers):
        for channel in range(5):
            units[(i, channel, *(index if j == strip.axis else 0 for j in range(2)), channel)] = 1.0
    image = layer.kernel(units.flatten(0, 1))
    torch.testing.assert_close(layer.values(layer.units(grid, strip), grid), image, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("double", [True, False], ids=["float64", "float32"])
def test_gradients_reach_all_weights_and_the_data(rule, double):
    made = network(2, double=double, blocks=3)
    dtype = D if double else torch.float32
    data = {side: values.requires_grad_() for side, values in walls(2, XX).items()}
    out = KernelCorrection(made, both("dirichlet"), RULES[rule](2))(channels(2, dtype=dtype), data)
    assert out.dtype == dtype
    out.square().sum().backward()
    for name, parameter in made.named_parameters():
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), name
        assert float(parameter.grad.abs().max()) > 0.0, name
    assert all(float(values.grad.abs().max()) > 0.0 for values in data.values())


def test_gradients_are_the_derivatives():
    made = network(2, width=2, blocks=2)
    model, data = KernelCorrection(made, both("dirichlet"), Corrected(floor=1e-6)), walls(2, XX)
    weight = made.convolutions[0].weight

    def total():
        return (model(channels(2), data) * torch.linspace(0, 1, 16, dtype=D)).sum()

    total().backward()
    step, direction = 1e-6, torch.randn(weight.shape, dtype=D, generator=torch.Generator().manual_seed(0))
    values = []
    for sign in (1, -1):
        with torch.no_grad():
            weight.add_(sign * step * direction)
            values.append(float(total()))
            weight.sub_(sign * step * direction)
    expected = (values[0] - values[1]) / (2 * step)
    assert float((weight.grad * direction).sum()) == pytest.approx(expected, rel=1e-5)


def test_no_parameter_is_added_and_published_sizes_are_met():
    axes = [Axis(25, 0.0, 1.0), Axis(500, 0.0, 1.0)]
    base = FourierOperator(3, 1, axes, modes=12, width=32, blocks=4, padding=0.02)
    counts = {
        name: sum(p.numel() for p in KernelCorrection(base, both("dirichlet"), rule).parameters())
        for name, rule in (("corrected", Corrected()), ("released", AsReleased(Quirks.released(2))))
    }
    # The original has 2 372 482: it keeps a second, unused copy of lift and projection.
    copies = sum(p.numel() for part in (base.lift, base.project, base.last) for p in part.parameters())
    assert counts == {"corrected": 2_368_001, "released": 2_368_001}
    assert 2_368_001 + copies == 2_372_482


def test_a_finer_grid_than_that_of_training_is_corrected_with_its_own_spacing():
    model = KernelCorrection(network(), both("neumann"), Corrected())
    data, x = walls(1, XX), torch.randn(3, 2, 31, dtype=D)
    out = model(x, data)[:, 0]
    slopes = (-11 * out[:, 0] + 18 * out[:, 1] - 9 * out[:, 2] + 2 * out[:, 3]) * 30 / 6
    torch.testing.assert_close(slopes, data["x_lo"], rtol=1e-10, atol=1e-10)


def test_data_may_come_as_one_table():
    model = KernelCorrection(network(3), dict.fromkeys((*XX, "y_hi"), "dirichlet"), Corrected())
    data, x = walls(3, (*XX, "y_hi")), channels(3)
    table = torch.cat([data[side] for side in (*XX, "y_hi")], dim=-1)  # (sample, t, 8 + 8 + 10)
    torch.testing.assert_close(model(x, table), model(x, data), rtol=0.0, atol=0.0)


# The jump


def test_values_jump_next_to_a_corrected_wall_and_not_next_to_a_lifted_one():
    """The published method, on a smooth kernel: refinement does not close the gap. A lift's gap goes as h."""
    jumps = {"corrected": [], "lift": []}
    for n in (64, 256, 1024):
        x = torch.linspace(0.0, 1.0, n, dtype=D)
        kernel = torch.exp(-(x[:, None] - x).abs() / 0.2) / n
        layer, a = Dense(kernel[:, :, None, None]), torch.cos(x)[None, :, None]
        walls_ = [
            End(side, "dirichlet", -2, index, 1 / (n - 1), torch.full((1, 1), value, dtype=D))
            for side, index, value in (("x_lo", 0, 1.5), ("x_hi", n - 1, 0.7))
        ]
        u = Corrected().layer(layer, a, walls_)[0, :, 0]
        assert float(u[0]) == 1.5 and float(u[-1]) == 0.7
        jumps["corrected"].append(float((u[1] - u[0]).abs()))
        rows = np.zeros((2, n))
        rows[0, 0] = rows[1, -1] = 1.0
        lift = KernelLift(rows, [x.numpy()], length=0.2)
        plain = layer.kernel(a)[0, :, 0].expand(1, 1, n)
        lifted = lift(plain, torch.tensor([[[1.5, 0.7]]], dtype=D)).detach()[0, 0]
        jumps["lift"].append(float((lifted[1] - lifted[0]).abs()))
    assert min(jumps["corrected"]) > 1.4  # nearly all of α
    assert jumps["corrected"] == sorted(jumps["corrected"])
    assert jumps["lift"][1] < 0.3 * jumps["lift"][0] and jumps["lift"][2] < 0.3 * jumps["lift"][1]


def test_smoothing_is_a_mean_over_three_of_four_layers():
    u = torch.randn(2, 16, 3, dtype=D)
    out = AsReleased(replace(Quirks(), smoothed=True))._smooth(u, ends(u, both("dirichlet")))
    means = u.unfold(1, 3, 1).mean(-1)
    torch.testing.assert_close(out[:, 1:5], means[:, :4])
    torch.testing.assert_close(out[:, -5:-1], means[:, -4:])
    assert torch.equal(out[:, 5:-5], u[:, 5:-5]) and torch.equal(out[:, [0, -1]], u[:, [0, -1]])


# Bad input


@pytest.mark.parametrize(
    ("conditions", "rule", "changes", "match"),
    [
        ({}, Corrected(), {}, "no conditions"),
        ({"z_lo": "dirichlet"}, Corrected(), {}, "`z_lo` is no side"),
        ({"y_lo": "dirichlet"}, Corrected(), {}, "`y_lo` is no side of a grid of 1"),
        ({"x_lo": "robin"}, Corrected(), {}, "`robin` at x_lo"),
        ({"x_lo": "periodic"}, Corrected(), {}, "a period needs both"),
        (both("periodic"), Corrected(), {"periodic": True}, "stores each point of the period once"),
        (both("dirichlet"), Corrected(), {"periodic": True}, "closes on itself"),
        (both("dirichlet"), Corrected(), {"cells": True}, "has cells"),
        (both("dirichlet"), Corrected(), {"outputs": 2}, "2 outputs"),
        (both("neumann"), Corrected(accuracy=15), {}, "needs 17 points .* has 16"),
        ({"x_lo": "dirichlet"}, AsReleased(Quirks.released(1)), {}, "both walls of x, of one kind"),
        ({"x_lo": "dirichlet", "x_hi": "neumann"}, AsReleased(Quirks()), {}, "both walls of x, of one kind"),
    ],
)
def test_conditions_that_do_not_fit_are_refused(conditions, rule, changes, match):
    with pytest.raises(ValueError, match=match):
        KernelCorrection(network(**changes), conditions, rule)


def test_networks_that_cannot_be_opened_are_refused():
    with pytest.raises(TypeError, match="Linear does not show its layers"):
        KernelCorrection(nn.Linear(2, 2), both("dirichlet"), Corrected())
    with pytest.raises(TypeError, match="Linear does not show its layers"):
        KernelCorrection(
            Normalised(nn.Linear(2, 2), [(0.0, 1.0)], [(0.0, 1.0)]), both("dirichlet"), Corrected()
        )


@pytest.mark.parametrize(
    ("data", "match"),
    [
        ({"x_lo": torch.zeros(3, 6)}, r"for \['x_lo'\]; needed are exactly \['x_hi', 'x_lo'\]"),
        ({"x_lo": torch.zeros(3, 6), "x_hi": torch.zeros(3)}, r"x_hi have shape \(3,\); needed is \(3, 6\)"),
        (torch.zeros(3, 6, 3), r"have shape \(3, 6, 3\)"),
        (torch.zeros(2, 6, 2), r"have shape \(2, 6, 2\)"),
        (torch.zeros(3, 2), r"have shape \(3, 2\)"),
    ],
)
def test_data_that_do_not_fit_are_refused(data, match):
    model = KernelCorrection(network(2), both("dirichlet"), Corrected())
    with pytest.raises(ValueError, match=match):
        model(channels(2), data)


def test_grids_shorter_than_a_stencil_are_refused_when_they_come():
    model = KernelCorrection(network(), both("neumann"), Corrected(accuracy=8))
    with pytest.raises(ValueError, match=r"needs 10 points .* has 9"):
        model(torch.zeros(1, 2, 9, dtype=D), walls(1, XX, batch=1))
    with pytest.raises(ValueError, match="have 2 axes, the network 1"):
        model(torch.zeros(1, 2, 9, 9, dtype=D), {})


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: Corrected(accuracy=0), "accuracy=0"),
        (lambda: Corrected(floor=-1.0), r"floor=-1\.0"),
        (lambda: Quirks(tolerance=0.0), r"tolerance=0\.0"),
    ],
)
def test_options_that_make_no_sense_are_refused(make, match):
    with pytest.raises(ValueError, match=match):
        make()


def test_opened_is_the_network():
    made = network(2)
    opened: Opened = made.opened()
    x = channels(2)
    u = opened.lift(x)
    for i, layer in enumerate(opened.layers):
        u = layer.kernel(u) + layer.pointwise(u)
        u = opened.activate(u) if i < len(opened.layers) - 1 else u
    torch.testing.assert_close(opened.project(u, SHAPES[2]), made(x))
