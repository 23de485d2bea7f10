"""Kernel formulas, the matrices they stand for, and how likely they make data."""

import math

import pytest
import torch

from lawbound.surrogates.kernel_formula import parse
from lawbound.surrogates.kernels import CORRELATIONS
from lawbound.surrogates.marginal import DenseEvidence, LatticeEvidence, Side, maximise
from lawbound.surrogates.separable import SeparableKernel

AXES = ("t", "x")
EVERY = (
    "rbf",
    "matern-1/2",
    "matern-3/2",
    "matern-5/2",
    "periodic",
    "rbf * matern-1/2",
    "matern-3/2 + periodic(x)",
    "rbf(t) * (matern-5/2(x) + periodic(x)) + matern-1/2(t)",
)
CLOSED = {
    "rbf": lambda r: math.exp(-r * r / 2 / 0.7**2),
    "matern-1/2": lambda r: math.exp(-r / 0.7),
    "matern-3/2": lambda r: (1 + math.sqrt(3) * r / 0.7) * math.exp(-math.sqrt(3) * r / 0.7),
    "matern-5/2": lambda r: (
        (1 + math.sqrt(5) * r / 0.7 + 5 * r * r / 3 / 0.7**2) * math.exp(-math.sqrt(5) * r / 0.7)
    ),
    "periodic": lambda r: math.exp(-2 * math.sin(math.pi * r / 0.4) ** 2 / 0.7**2),
}


def rand(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def kernel_of(text):
    """A kernel with hyperparameters unlike each other."""
    kernel = SeparableKernel.of(text, AXES)
    start = kernel.start({"t": 1.0, "x": 1.2})
    return kernel, start + 0.4 * rand(len(start), seed=3)


@pytest.mark.parametrize("name", CORRELATIONS)
def test_correlations_are_their_closed_forms(name):
    distance = torch.linspace(0, 2, 9, dtype=torch.float64)
    numbers = (0.7, 0.4)[: len(CORRELATIONS[name].parameters)]
    wanted = torch.tensor([CLOSED[name](r) for r in distance.tolist()], dtype=torch.float64)
    torch.testing.assert_close(CORRELATIONS[name].value(distance, *numbers), wanted)


def test_a_formula_is_multiplied_out_and_a_shared_leaf_stays_one():
    formula = parse("rbf(t) * (matern-1/2(x) + periodic(x, t)) + rbf")
    assert [(leaf.name, leaf.axes) for leaf in formula.leaves] == [
        ("rbf", ("t",)), ("matern-1/2", ("x",)), ("periodic", ("x", "t")), ("rbf", ()),
    ]  # fmt: skip
    assert formula.terms == ((0, 1), (0, 2), (3,))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "it ends too early"),
        ("rbf +", "it ends too early"),
        ("rbff", "'rbff' is no kernel"),
        ("rbf - rbf", "'-' stands where"),
        ("rbf rbf", "'rbf' stands where"),
        ("(rbf", "it ends too early"),
        ("rbf)", r"'\)' stands where"),
        ("rbf()", r"'\)' is no axis"),
        ("rbf(x, x)", "'x' is no axis, or stands there twice"),
        ("rbf(2)", "'2' is no axis"),
        (" + ".join(["rbf"] * 17), "it has 17 terms"),
        ("__import__", "'__import__' is no kernel"),
    ],
)
def test_what_is_no_formula_is_refused_with_the_names_that_are(text, message):
    with pytest.raises(ValueError, match=message) as refusal:
        parse(text)
    assert f"kernel={text!r}" in str(refusal.value)
    assert "rbf, matern-1/2, matern-3/2, matern-5/2, periodic" in str(refusal.value)


def test_terms_multiply_axes_and_add_up_with_amplitudes_and_noise():
    """`rbf(t) * (matern-1/2(x) + periodic(x))`, a number at a time."""
    kernel = SeparableKernel.of("rbf(t) * (matern-1/2(x) + periodic(x))", AXES)
    assert [scale[1:] for scale in kernel.scales] == [
        ("t", "length"), ("x", "length"), ("x", "length"), ("x", "period"),
    ]  # fmt: skip
    length_t, length_x, length_p, period, first, second, noise = 0.5, 0.3, 0.9, 0.8, 1.1, 0.6, 0.2
    logs = torch.log(
        torch.tensor([length_t, length_x, length_p, period, first, second, noise], dtype=torch.float64)
    )
    where = rand(4, 2)
    got = kernel.matrix(logs, where)
    for i, (t, x) in enumerate(where.tolist()):
        for j, (s, y) in enumerate(where.tolist()):
            in_time = math.exp(-((t - s) ** 2) / 2 / length_t**2)
            wave = math.exp(-2 * math.sin(math.pi * (x - y) / period) ** 2 / length_p**2)
            wanted = in_time * (first**2 * math.exp(-abs(x - y) / length_x) + second**2 * wave)
            if i == j:
                wanted += noise**2 + 1e-8 * (first**2 + second**2)
            assert float(got[i, j]) == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("text", EVERY)
def test_every_kernel_gives_positive_definite_matrices_and_one_length_an_axis(text):
    kernel, logs = kernel_of(text)
    matrix = kernel.matrix(logs, rand(40, 2))
    torch.testing.assert_close(matrix, matrix.mT)
    assert float(torch.linalg.eigvalsh(matrix).min()) >= 0.99 * float(kernel.noise(kernel.numbers(logs)))
    lengths = [scale for scale in kernel.scales if scale.name == "length"]
    assert len(lengths) == sum(len(leaf.axes or AXES) for leaf in kernel.formula.leaves)
    assert len(kernel.described(logs)) == len(logs)


@pytest.mark.parametrize("text", EVERY)
def test_the_loss_is_minus_the_log_density_and_the_gradient_its_own(text):
    kernel, logs = kernel_of(text)
    evidence = DenseEvidence(kernel, rand(3, 12, 2), rand(3, 12, seed=1))
    density = torch.distributions.MultivariateNormal(
        torch.zeros(3, 12, dtype=torch.float64), kernel.matrix(logs, evidence.where)
    )
    wanted = -density.log_prob(evidence.values).mean() / 12
    torch.testing.assert_close(evidence.loss(logs), wanted)
    free = logs.clone().requires_grad_(True)
    torch.testing.assert_close(evidence.loss_with_gradient(free), wanted)
    own = logs.clone().requires_grad_(True)
    (direct,) = torch.autograd.grad(evidence.loss(own), own)
    torch.testing.assert_close(free.grad, direct)


def lattices(shared):
    """Two functions on 5 × 4 points, the same or of their own, as a lattice and as a list of points."""
    t, x = rand(1 if shared else 2, 5, seed=4), rand(1 if shared else 2, 4, seed=5)
    values = rand(2, 5, 4, seed=6)
    where = torch.stack(torch.broadcast_tensors(t[:, :, None], x[:, None, :]), -1).flatten(1, 2)
    return (Side(("t",), t[..., None]), Side(("x",), x[..., None])), values, where.expand(2, -1, -1)


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("text", [text for text in EVERY if "+" not in text])
def test_a_lattice_is_as_likely_as_its_points_one_by_one(text, shared):
    kernel, logs = kernel_of(text)
    sides, values, where = lattices(shared)
    lattice, points = LatticeEvidence(kernel, sides, values), DenseEvidence(kernel, where, values.flatten(1))
    torch.testing.assert_close(lattice.loss(logs), points.loss(logs))
    one, other = logs.clone().requires_grad_(True), logs.clone().requires_grad_(True)
    torch.testing.assert_close(lattice.loss_with_gradient(one), points.loss_with_gradient(other))
    torch.testing.assert_close(one.grad, other.grad, rtol=1e-6, atol=1e-9)


def test_fitting_finds_the_lengths_that_made_the_data_an_axis_at_a_time():
    """Sixty functions drawn with ℓ_t = 0.8, ℓ_x = 0.1, s = 2, τ = 0.05."""
    kernel = SeparableKernel.of("matern-3/2", AXES)
    true = torch.log(torch.tensor([0.8, 0.1, 2.0, 0.05], dtype=torch.float64))
    axis = torch.linspace(0, 1, 12, dtype=torch.float64)
    where = torch.cartesian_prod(axis, axis)
    generator = torch.Generator().manual_seed(0)
    white = torch.randn(60, 144, generator=generator, dtype=torch.float64)
    values = (white @ torch.linalg.cholesky(kernel.matrix(true, where)).mT).reshape(60, 12, 12)
    sides = tuple(Side((name,), axis[None, :, None]) for name in AXES)
    evidence = LatticeEvidence(kernel, sides, values)
    found, loss = maximise(evidence, kernel.start({}), 60)
    assert loss <= float(evidence.loss(true))
    assert (found - true).abs().max() < 0.15


def test_more_points_than_one_factor_takes_are_refused_with_what_would_do():
    kernel = SeparableKernel.of("rbf + rbf", AXES)
    with pytest.raises(ValueError, match=r"4097 points need .* at most 4096 are taken. Give a product"):
        DenseEvidence(kernel, torch.zeros(1, 4097, 2), torch.zeros(1, 4097))


def test_a_search_that_leaves_the_numbers_says_so():
    kernel = SeparableKernel.of("rbf", AXES)
    evidence = DenseEvidence(kernel, rand(1, 5, 2), torch.full((1, 5), torch.nan, dtype=torch.float64))
    with pytest.raises(ValueError, match="stopped being finite; check the data with `lawbound check`"):
        maximise(evidence, kernel.start({}), 5)
