"""Every enforcement on every set that the table says it goes with keeps its promises; what does not go is refused."""

import itertools

import numpy as np
import pytest
import torch

from lawbound.comparison import imposed as specified
from lawbound.comparison import judge
from lawbound.constraints import (
    Bounds,
    Conservation,
    Dirichlet,
    Energy,
    Monotone,
    TotalVariation,
    TwoPhase,
    enforce,
)
from lawbound.constraints.applicability import (
    APART,
    FURTHER,
    REASONS,
    TABLE,
    entries,
    parts,
    promised,
    require,
    require_possible,
)
from lawbound.constraints.constraint import Admissible
from lawbound.constraints.enforcement import ENFORCEMENTS, enforcement
from lawbound.constraints.penalty import Penalty
from lawbound.constraints.sets import Balance, Box, Curved, Evolution, Given, Order, Phases, Rows, Variation
from lawbound.datasets.layout import Layout
from lawbound.surrogates.covariance import Diagonal

D = torch.float64
S, T, N = 2, 2, 12
PARTS = tuple(dict.fromkeys(entry.part for entry in TABLE))
SAME_PLACE = ({"rows", "uncertain rows"}, {"fixed", "box"})  # one attribute of a set holds one of them


def made(names, seed=0):
    """A set of these parts around falling lawful states, and an unlawful prediction near them."""
    g = torch.Generator().manual_seed(seed)
    lawful = torch.sort(torch.rand(S, T, N, generator=g, dtype=D), descending=True).values
    if "phases" in names:  # one mixed cell
        at, front = torch.arange(N), torch.randint(4, 8, (S, T, 1), generator=g)
        lawful = torch.where(at < front, 0.5 + 0.5 * lawful, torch.where(at == front, 0.3, 0.0)).to(D)
    weights, whole, chain = np.full((1, N), 1.0 / N), (S, T, N), (np.array([0]), np.array([N]))
    rhs = (lawful @ torch.from_numpy(weights).T).numpy()
    tolerance = np.full(rhs.shape, 0.02 if "uncertain rows" in names else 0.0)
    lower, upper = np.full(whole, -np.inf), np.full(whole, np.inf)
    lower[..., 0] = upper[..., 0] = lawful[..., 0]
    square = lawful.square().mean(-1, keepdim=True).numpy()
    variation = lawful.diff().abs().sum(-1).numpy() + 0.01

    def halved(sample, mean, variance, rows):
        return Given(mean, 0.5 * variance, np.zeros((T, 0 if rows is None else len(rows.labels))))

    one_of = {
        "rows": ("rows", Rows(weights, rhs, tolerance, ("mass",))),
        "fixed": ("box", Box(lower, upper, "wall")),
        "box": ("box", Box(np.zeros(whole), np.ones(whole), "0 ≤ u ≤ 1")),
        "order": ("order", Order(*chain, np.array([-1]), "falling")),
        "variation": ("variation", Variation(*chain, variation, "variation")),
        "phases": ("phases", Phases(np.full((S, T), 0.5), np.zeros((S, T)), np.ones((S, T)), True, "phases")),
        "curved": (
            "curved",
            (Curved(lambda u: u.square().mean(-1, keepdim=True), square, ("energy",)),),
        ),
        "evolution": ("evolutions", (Evolution(lambda u, series: (u.diff(dim=-2),) * 2, (), "u_t = 0"),)),
        "balance": ("balance", Balance(halved, lambda u: np.zeros((*u.shape[:-1], 1)), "balance")),
    }
    one_of["uncertain rows"] = one_of["rows"]
    admissible = Admissible(Layout(("u",), ("x",), (N,)), **dict(one_of[name] for name in names))
    spread = 0.02 if "curved" in names else 0.1
    deviation = spread * (0.3 + torch.rand(1, S, T, N, generator=g, dtype=D))
    means = lawful + deviation * torch.randn(1, S, T, N, generator=g, dtype=D)
    return admissible, lawful, means, Diagonal(deviation**2)


def goes(names, how):
    try:
        require(made(names)[0], how)
    except ValueError:
        return False
    return True


SETS = [
    names
    for count in (1, 2, 3)
    for names in itertools.combinations(PARTS, count)
    if not any(together <= {*names} for together in SAME_PLACE)
]
CASES = [
    (how, names)
    for how in ENFORCEMENTS
    for names in SETS
    # A search within linearisations takes seconds; test_projection.py has one.
    if goes(names, how) and not {"variation", "curved"} <= {*names}
]


def left(admissible, states):
    """By how much states miss rows and the rest."""
    off = np.abs(admissible.residual(states))
    return off.max(initial=0.0)


#: The search for the price of variation loses a value that is fixed beside it where variances differ.
LOST = {("condition", ("fixed", "variation")), ("auto", ("fixed", "variation"))}


@pytest.mark.parametrize(
    ("how", "names"),
    [
        pytest.param(
            how,
            names,
            id=f"{how}-{'&'.join(names)}",
            marks=pytest.mark.xfail(raises=ValueError, strict=True) if (how, names) in LOST else (),
        )
        for how, names in CASES
    ],
)
def test_an_enforcement_keeps_what_the_table_promises_of_a_set(how, names):
    admissible, lawful, means, covariance = made(names)
    promises = promised(admissible, how)
    impose = enforcement(how)
    found = impose(means, covariance, admissible)
    assert torch.isfinite(found.means).all()
    if "exact" in promises:
        assert left(admissible, found.means[0].numpy()) < 1e-9
        drawn = found.means + found.covariance.sample(torch.Generator().manual_seed(1))
        assert left(admissible, drawn[0].numpy()) < 1e-8
    if "idempotent" in promises:
        again = impose(found.means, covariance, admissible).means
        torch.testing.assert_close(again, found.means, rtol=0, atol=1e-8)
    if "kept" in promises:
        kept = impose(lawful[None], covariance, admissible).means
        torch.testing.assert_close(kept[0], lawful, rtol=0, atol=1e-8)
    if "variance" in promises:
        assert (found.covariance.variance() <= covariance.variance() * (1 + 1e-9)).all()


def test_every_line_of_the_table_is_tried_here_or_is_a_penalty():
    tried = {(part, how) for how, names in CASES for part in names}
    assert {(entry.part, entry.enforcement) for entry in TABLE if entry.enforcement != "penalty"} == tried
    assert {entry.enforcement for entry in TABLE} == {*ENFORCEMENTS, "penalty"}


def test_whatever_the_table_lacks_has_a_reason_and_something_else_to_use():
    lacking = {(part, how) for part in PARTS for how in (*ENFORCEMENTS, "penalty") if not entries(how, part)}
    assert lacking == set(REASONS)
    for part, how in lacking:
        with pytest.raises(ValueError, match=f"`{how}` cannot impose {part}.*can"):
            require(made((part,))[0], how)
    for pair, reason in APART.items():
        admissible = made(tuple(pair))[0]
        with pytest.raises(ValueError, match="do not go together") as refusal:
            require(admissible, "condition")
        assert reason in str(refusal.value)
    assert set(FURTHER) == {"displace", "auto"}


def test_a_set_is_named_by_its_parts():
    for part in PARTS:
        assert parts(made((part,))[0]) == (part,)


def test_an_enforcement_of_one_s_own_is_not_the_table_s_to_refuse():
    require(made(("balance", "box"))[0], "somebody-s")
    require_possible(TwoPhase(), "somebody-s")


def test_what_does_not_go_is_refused_at_the_door():
    with pytest.raises(
        ValueError, match=r"`displace` cannot impose curved, which `energy` has: moving a profile meets"
    ):
        specified("energy:displace")
    with pytest.raises(
        ValueError, match=r"`displace` cannot impose variation.*condition, project, auto, penalty can"
    ):
        specified("conservation&total-variation:displace")
    assert specified("conservation&monotone:displace").how.name == "displace"
    for constraint in (TotalVariation(), Energy(), Conservation() & TotalVariation()):
        with pytest.raises(ValueError, match="`displace` cannot"):
            require_possible(constraint, "displace")


def test_compare_refuses_on_the_data_before_anything_is_predicted(stefan_test):
    def never(part, at):
        raise AssertionError("predicted")

    for spec, message in (
        ("dirichlet:displace", "it must be a total|needs a law that says a total"),
        ("monotone:displace", "needs a law that says a total"),
        ("two-phase:auto", "needs a law that says a total"),
    ):
        with pytest.raises(ValueError, match=message):
            judge({"x": never}, stefan_test, [specified(spec)], table="t")


def test_enforce_refuses_by_the_table_and_names_the_constraint(stefan_test):
    from lawbound.surrogates.prediction import Prediction

    u = torch.from_numpy(stefan_test.u.values.astype(np.float64))[None]
    prediction = Prediction(u, Diagonal(torch.full_like(u, 0.01)), stefan_test)
    with pytest.raises(ValueError, match=r"which `conservation&total-variation` has"):
        enforce(prediction, Conservation() & TotalVariation(), "displace")
    with pytest.raises(ValueError, match=r"it must be a total|needs a law"):
        enforce(prediction, Dirichlet(), "displace")
    with pytest.raises(ValueError, match="phases"):
        Penalty.of(TwoPhase(), stefan_test)
    assert (
        enforce(prediction, Conservation() & Monotone() & Bounds(0.0, 1.0), "displace").report.how
        == "displace"
    )
