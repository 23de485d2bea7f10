"""The tables of ProbConserv (Hansen et al., ICML 2023, arXiv:2302.11002), from data to laws.

Full: 10 000 functions from our solvers to train on, 100 to choose the weights, 50 for each tested value; the attentive neural
process of the published size, dropout active at prediction as theirs was. Quick: a small network like that of `lawbound demo`, its
rate and epochs picked by validation loss on Stefan data.
"""

from functools import partial

from lawbound.constraints.conservation import Conservation
from lawbound.constraints.enforcement import Condition
from lawbound.datasets.plugins import find
from lawbound.evidence import Imposed
from lawbound.recipe import Part, Recipe, Study
from lawbound.recipe_scores import CE_SQUARED, FRONT_MEAN_PUBLISHED, FRONT_SD_PUBLISHED, MASS_VARIANCE
from lawbound.rules import rules
from lawbound.score import Score
from lawbound.score_list import (
    CE,
    CRPS,
    FRONT_BIAS,
    FRONT_BIAS_PUBLISHED,
    FRONT_COVERAGE95,
    FRONT_CRPS,
    FRONT_RMSE,
    FRONT_RMSE_PUBLISHED,
    FRONT_SD,
    LL,
    MSE,
)
from lawbound.surrogates.neural_process import AttentiveNeuralProcess

#: The published network and training; draws with dropout, as in the released results.
PUBLISHED = AttentiveNeuralProcess(dropout_at_prediction=True)
SMALL = AttentiveNeuralProcess(
    width=32,
    heads=2,
    dropout=0.0,
    normalise=True,
    epochs=60,
    batch=8,
    learning_rate=1e-3,
    clip_norm=100.0,
    validate_every=1,
    draws=50,
)
REDUCED = "240 training functions of 10 000, a network of width 32 of 128, 60 epochs of 500, 8 functions a value of 50"
SHOCK = (
    FRONT_MEAN_PUBLISHED, FRONT_BIAS_PUBLISHED, FRONT_SD_PUBLISHED, FRONT_RMSE_PUBLISHED,
    FRONT_BIAS, FRONT_SD, FRONT_RMSE, FRONT_CRPS, FRONT_COVERAGE95, CE, MSE, LL,
)  # fmt: skip
SIGMA = (CE_SQUARED, MASS_VARIANCE, MSE, LL, CRPS)
#: 1/σ_G² of the paper's ablation, as the table calls them.
PRECISIONS = ("1e2", "1e4", "1e5", "1e6", "1e7", "1e8", "inf")


def precise(precision: str) -> Imposed:
    """ProbConserv with the mass known to a variance of 1/precision."""
    return Imposed(
        Conservation(tolerance=float(precision) ** -0.5), Condition(), f"probconserv(precision={precision})"
    )


def study(
    problem: str,
    quick: bool,
    *,
    imposed: tuple[Imposed, ...] | None = None,
    scores: tuple[Score, ...] | None = None,
    values: int | None = None,
) -> Study:
    """A problem as the paper has it; values: how many parameter values are tested (all of the family's if None)."""
    count = values or len(next(iter(find("problems", problem).splits["test"].values())).values)
    return Study(
        name=problem,
        problem=problem,
        train=Part("train", 240 if quick else 10_000),
        valid=Part("valid", 24 if quick else 100),
        test=(Part("test", count * (8 if quick else 50)),),
        learners={"anp": SMALL if quick else PUBLISHED},
        rules=tuple(rules(problem)) if imposed is None else imposed,
        nt=51 if quick else None,
        scores=scores,
        judged_times=5 if quick else 11,
    )


def _one(problem: str, quick: bool, **options: object) -> tuple[Study, ...]:
    return (study(problem, quick, **options),)  # type: ignore[arg-type]


def _sigma(quick: bool) -> tuple[Study, ...]:
    imposed = tuple(map(precise, PRECISIONS))
    return tuple(study(problem, quick, imposed=imposed, scores=SIGMA) for problem in ("pme", "stefan"))


RECIPES = tuple(
    Recipe(f"probconserv/{name}", what, studies, REDUCED, seconds)
    for name, what, studies, seconds in (
        ("diffusion", "ProbConserv, Table 1: diffusion, k = 1 and 5, an attentive neural process, laws imposed on it",
         partial(_one, "diffusion"), 57),
        ("pme", "ProbConserv: porous medium equation, m = 1, 3, 6", partial(_one, "pme"), 82),
        ("stefan", "ProbConserv: Stefan problem, u* = 0.6 and 0.5", partial(_one, "stefan"), 78),
        ("advection", "ProbConserv, appendix: linear advection, β = 1 and 3", partial(_one, "advection"), 79),
        ("burgers", "ProbConserv, appendix: inviscid Burgers equation, a = 1 and 3",
         partial(_one, "burgers-inviscid"), 79),
        ("shock-location", "ProbConserv: where joint samples have Stefan's front, u* = 0.6 and 0.5",
         partial(_one, "stefan", scores=SHOCK), 78),
        ("sigma", "ProbConserv, ablation: how exactly the mass is known, 1/σ² from 100 to ∞, pme and Stefan", _sigma, 129),
    )
)  # fmt: skip
