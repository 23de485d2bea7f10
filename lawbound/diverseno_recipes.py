"""DiverseNO and Operator-ProbConserv (Mouli et al., ICML 2024, arXiv:2403.10642): does uncertainty tell errors out of distribution?

Networks learn one range of a parameter and are judged on three ranges beside it, farther and farther away, and on new
functions of their own range. Full: 320 functions to train on, 80 to choose the weights, 200 for each range, ten members or heads,
500 epochs, as in the released code. Unlike there the first state is an input, too, scores are of the time of interest, not
of all times, and no problem runs on after its front has left, when its law is false.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from lawbound.evidence import Comparison
from lawbound.recipe import Part, Recipe, Study
from lawbound.rules import rules
from lawbound.score_list import CE, CRPS, LL, MSE, N_MERCI, RMSCE, WIDTH95
from lawbound.surrogates.diverse import DiverseFourierOperator
from lawbound.surrogates.ensemble import FourierEnsemble
from lawbound.surrogates.fourier_surrogate import FourierNeuralOperator
from lawbound.surrogates.surrogate import Learner

#: What the paper calls cheap: one network that tells its own errors.
CHEAP = ("fno-nll", "fno-dropout", "fno-laplace")
#: Operator-ProbConserv, and ours that needs to know no more.
IMPOSED = ("probconserv", "auto")
_SHIFTS = ("shift-small", "shift-medium", "shift-large")
_SCORES = (MSE, CRPS, LL, N_MERCI, RMSCE, WIDTH95, CE)
#: End of the time, where it is not the family's own.
_TIMES: Mapping[str, tuple[float, float]] = {"advection": (0.0, 0.14)}
#: Samples of other seeds are new functions of the range that was learnt.
_NEW = 1


def networks(quick: bool) -> dict[str, Learner]:
    """The methods of the paper, with one set of options for all of them."""
    common: dict[str, object] = {"parameters": True, "schedule": "step", "step_every": 50}
    common |= (
        {"epochs": 60, "batch": 16, "width": 16, "modes": 8, "step_every": 20} if quick else {"epochs": 500}
    )
    count = 5 if quick else 10
    return {
        "fno-nll": FourierNeuralOperator(uncertainty="variance", loss="nll", **common),  # type: ignore[arg-type]
        "fno-dropout": FourierNeuralOperator(uncertainty="dropout", dropout=0.1, draws=10, **common),  # type: ignore[arg-type]
        "fno-laplace": FourierNeuralOperator(uncertainty="laplace", **common),  # type: ignore[arg-type]
        "ensemble": FourierEnsemble(size=count, **common),  # type: ignore[arg-type]
        "diverse-fno": DiverseFourierOperator(heads=count, **common),  # type: ignore[arg-type]
    }


def _study(problem: str, quick: bool) -> Study:
    count = 40 if quick else 200
    return Study(
        name=problem,
        problem=problem,
        train=Part("shift-train", 64 if quick else 320),
        valid=Part("shift-train", 16 if quick else 80, seed=_NEW + 1),
        test=(Part("shift-train", count, seed=_NEW), *(Part(shift, count) for shift in _SHIFTS)),
        learners=networks(quick),
        rules=tuple(item for item in rules(problem) if item.label in IMPOSED),
        nx=32 if quick else 100,
        nt=21 if quick else 101,
        times=_TIMES.get(problem),
        scores=_SCORES,
        judged_times=3 if quick else 11,
    )


def _studies(quick: bool) -> tuple[Study, ...]:
    problems = ("diffusion", "stefan") if quick else ("diffusion", "pme", "stefan", "advection")
    return tuple(_study(problem, quick) for problem in problems)


def concluded(parts: Sequence[tuple[str, Comparison]]) -> tuple[str, ...]:
    """Our figures for what summaries of the paper say: over all problems and shifted ranges."""
    gains, errors = [], []
    for _, made in parts:
        for shift in _SHIFTS:
            own = made.value("diverse-fno", shift, "n_merci")
            cheap = [made.value(method, shift, "n_merci") for method in CHEAP]
            gains += [other / own for other in cheap if other is not None and own is not None and own > 0.0]
            before, after = (
                made.value(method, shift, "mse") for method in ("diverse-fno", "diverse-fno+probconserv")
            )
            if before and after is not None:
                errors.append(after / before - 1.0)
    if not gains or not errors:
        return ()
    better = sum(gain > 1.0 for gain in gains)
    return (
        f"out of distribution, n-MeRCI of {', '.join(CHEAP)} over that of diverse-fno: {min(gains):.2g} to {max(gains):.2g}, "
        f"median {np.median(gains):.2g}, above 1 in {better} of {len(gains)}; change of its MSE by "
        f"probconserv: {100 * min(errors):+.0f} % to {100 * max(errors):+.0f} %",
    )


RECIPES = (
    Recipe(
        "diverseno/ood",
        "DiverseNO: uncertainty out of distribution of many heads, an ensemble and three cheap ways, and laws imposed on them",
        _studies,
        "two problems of four, 64 training functions of 320, width 16 of 32, 5 heads or members of 10, 60 epochs of 500, 40 test "
        "functions a range of 200, 32 × 21 points of 100 × 101",
        213,
        concluded,
    ),
)
