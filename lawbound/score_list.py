"""The scores that can be named: `lawbound compare --score NAME`. Each is an entry point of the group `lawbound.scores`.

Without names a comparison has `DEFAULTS`, as far as they apply to the data. Names with an owner at their end follow
that benchmark's formula to the letter (`peer_scores`).
"""

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lawbound import law_scores, peer_scores, probabilistic_scores, scores, spectra
from lawbound.datasets import schema
from lawbound.score import Metric, NotApplicable, Outcome, Score

Array = NDArray[np.float64]
_LAGS = 16  # stored points up to which the variogram score compares pairs


def _of_mean(
    name: str,
    label: str,
    formula: Callable[[Array, Array], Array],
    meaning: str,
    combine: Callable[[Array], Array] | None = None,
) -> Score:
    """A score of the mean field against the truth, which has a row of the solver where there is a closed form."""
    metric = Metric(name, label, "mean", "low", meaning)

    def pieces(outcome: Outcome) -> Array:
        return formula(outcome.mean, outcome.truth)

    return (
        Score(metric, pieces, closed_form=True)
        if combine is None
        else Score(metric, pieces, combine, closed_form=True)
    )


def _flat(formula: Callable[[Array, Array], Array]) -> Callable[[Array, Array], Array]:
    """A formula of states (sample, n) as one of fields (sample, field, [y,] x)."""
    return lambda u, r: formula(u.reshape(len(u), -1), r.reshape(len(r), -1))


def _of_moments(
    name: str,
    label: str,
    aim: Literal["low", "high"] | float | None,
    formula: Callable[[Array, Array, Array], Array],
    meaning: str,
) -> Score:
    """A score of Gaussians with the pooled moments, point by point."""
    return Score(
        Metric(name, label, "spread", aim, meaning),
        lambda outcome: formula(*(outcome.flat(v) for v in (outcome.mean, outcome.variance, outcome.truth))),
    )


def _of_ensemble(
    name: str,
    label: str,
    formula: Callable[[Array, Array], Array],
    meaning: str,
) -> Score:
    """A score of joint samples (member, sample, n)."""
    return Score(
        Metric(name, label, "spread", "low", meaning),
        lambda outcome: formula(outcome.flat(outcome.ensemble), outcome.flat(outcome.truth)),
    )


CE = Score(
    Metric(
        "ce", "CE", "mean", 0.0, "Conservation error, ∫ mean dx − b(t): by how much the mean breaks the law."
    ),
    law_scores.conservation_error,
)
MSE = _of_mean("mse", "MSE", _flat(scores.mse), "Mean squared error of the mean, over the stored points.")
REL_L2 = _of_mean(
    "rel_l2",
    "rel. L2",
    _flat(scores.relative_l2),
    "‖mean − truth‖ / ‖truth‖; 0.1 is an error of ten per cent.",
)
BC_MAX = Score(
    Metric("bc_max", "BC max", "law", "low", "Largest distance of the mean from the declared wall values."),
    law_scores.wall_error,
    own=law_scores.own_wall_error,
)
LAW_ERROR = Score(
    Metric(
        "law_error", "law error", "law", "low",
        "Largest |residual| of any declared law at any judged time, over the law's own scale max |b|. The solver's is in "
        "double precision: nothing can be expected below it.",
    ),
    law_scores.law_error,
    own=law_scores.own_law_error,
)  # fmt: skip

LL = _of_moments(
    "ll", "LL", "high", scores.log_likelihood,
    "Log-likelihood of the truth under the Gaussian of each point, averaged. Rewards small errors and honest standard "
    "deviations at once.",
)  # fmt: skip
CRPS = _of_moments(
    "crps", "CRPS", "low", scores.gaussian_crps,
    "Continuous ranked probability score: the absolute error of a distribution, in the units of u.",
)  # fmt: skip
COVERAGE95 = _of_moments(
    "coverage95", "cover95", 0.95,
    lambda mean, variance, truth: scores.coverage(mean, variance, truth, np.array([0.95]))[:, 0],
    "Share of points where the truth lies in the central 95 % interval. Less is too sure, more is too cautious.",
)  # fmt: skip


def _of_front(
    name: str,
    label: str,
    aim: Literal["low", "high"] | float | None,
    pieces: Callable[[Outcome], Array],
    meaning: str,
) -> Score:
    return Score(Metric(name, label, "front", aim, meaning), pieces)


FRONT_MEAN = _of_front(
    "front_mean", "front", None, lambda outcome: outcome.fronts.drawn.mean(axis=0), "Mean front position of joint samples."
)  # fmt: skip
FRONT_BIAS = _of_front(
    "front_bias", "front bias", 0.0, lambda outcome: outcome.fronts.bias,
    "Mean front position of joint samples minus the true one.",
)  # fmt: skip
FRONT_SD = _of_front(
    "front_sd", "front sd", None, lambda outcome: outcome.fronts.spread,
    "Standard deviation of the front position of joint samples.",
)  # fmt: skip
FRONT_RMSE = _of_front(
    "front_rmse", "front RMSE", "low", lambda outcome: outcome.fronts.rmse,
    "Root mean square error of those front positions.",
)  # fmt: skip
FRONT_CRPS = _of_front(
    "front_crps", "front CRPS", "low", lambda outcome: outcome.fronts.crps,
    "CRPS of those front positions, in the units of x.",
)  # fmt: skip
FRONT_COVERAGE95 = _of_front(
    "front_coverage95", "front cover95", 0.95, lambda outcome: outcome.fronts.coverage(0.95),
    "Share of samples whose true front lies in the central 95 % interval of the joint samples' fronts.",
)  # fmt: skip
FRONT_BIAS_OF_MEAN = _of_front(
    "front_bias_of_mean", "mean's front", 0.0, lambda outcome: outcome.fronts.bias_of_mean,
    "Front position of the mean field minus the true one.",
)  # fmt: skip
FRONT_BIAS_PUBLISHED = _of_front(
    "front_bias_published", "front bias, node", 0.0, lambda outcome: outcome.fronts_by("published").bias,
    "The same bias by the published rule: the first stored point with u ≤ 0, of joint samples and truth.",
)  # fmt: skip
FRONT_RMSE_PUBLISHED = _of_front(
    "front_rmse_published", "front RMSE, node", "low", lambda outcome: outcome.fronts_by("published").rmse,
    "The same error by the published rule: the first stored point with u ≤ 0, of joint samples and truth.",
)  # fmt: skip

#: What a comparison scores unless told otherwise, as far as it applies.
DEFAULTS = (
    CE, MSE, REL_L2, LL, CRPS, COVERAGE95, FRONT_MEAN, FRONT_BIAS, FRONT_SD, FRONT_RMSE, FRONT_CRPS,
)  # fmt: skip

VRMSE_THE_WELL = _of_mean(
    "vrmse_the_well", "VRMSE", peer_scores.vrmse_the_well,
    "Root mean square error over the standard deviation of the truth in space (The Well): 1 is as good as its mean.",
)  # fmt: skip
NRMSE_THE_WELL = _of_mean(
    "nrmse_the_well", "NRMSE (Well)", peer_scores.nrmse_the_well,
    "Root mean square error over the truth's root mean square, 1e-7 under the root (The Well).",
)  # fmt: skip
NRMSE_PDEBENCH = _of_mean(
    "nrmse_pdebench", "nRMSE (PDEBench)", peer_scores.nrmse_pdebench,
    "Root mean square error over the truth's root mean square (PDEBench).",
)  # fmt: skip
NRMSE_APEBENCH = _of_mean(
    "nrmse_apebench", "nRMSE (APEBench)", peer_scores.nrmse_apebench,
    "‖u − r‖ / ‖r‖ summed over fields (APEBench): two fields double it.",
)  # fmt: skip
REL_L2_NEURALOP = _of_mean(
    "rel_l2_neuralop", "LpLoss", peer_scores.relative_l2_neuralop,
    "‖u − r‖ / (‖r‖ + 1e-8) summed over fields and samples (neuraloperator's default): it grows with the test set.",
    lambda pieces: np.asarray(pieces.sum(axis=0)),
)  # fmt: skip
REL_L2_PHYSICSNEMO = _of_mean(
    "rel_l2_physicsnemo", "rel. L2 (NeMo)", peer_scores.relative_l2_physicsnemo,
    "√(Σ(u − r)² / max(Σr², ε)) over all fields of a sample (PhysicsNeMo).",
)  # fmt: skip
CRMSE_PDEBENCH = _of_mean(
    "crmse_pdebench", "cRMSE", peer_scores.mean_gap,
    "√ of the mean over samples of (Σu − Σr)², over the number of points (PDEBench): against the truth's sum, not the law.",
    peer_scores.crmse_pdebench,
)  # fmt: skip
BRMSE_PDEBENCH = _of_mean(
    "brmse_pdebench", "bRMSE", peer_scores.brmse_pdebench, "Root mean square error of the outermost points (PDEBench)."
)  # fmt: skip


def _frmse(band: int) -> Score:
    name, modes = (("low", "0–3"), ("mid", "4–11"), ("high", "12 and above"))[band]

    # Bands are taken of the mean over samples: the grid's size travels with the pieces, as their last entry.
    def pieces(u: Array, r: Array) -> Array:
        errors = peer_scores.mode_errors(u, r)
        points = np.full((*errors.shape[:-1], 1), float(np.prod(u.shape[2:])))
        return np.concatenate([errors, points], axis=-1)

    return _of_mean(
        f"frmse_{name}_pdebench", f"fRMSE {name}", pieces,
        f"Root mean square error of Fourier modes {modes} (PDEBench, domain length 1).",
        lambda p: peer_scores.frmse_pdebench(p[..., :-1], band, int(p[0, 0, -1])),
    )  # fmt: skip


FRMSE_LOW_PDEBENCH, FRMSE_MID_PDEBENCH, FRMSE_HIGH_PDEBENCH = map(_frmse, range(3))


def _spectrum(band: int) -> Score:
    name = ("low", "mid", "high")[band]
    modes = ("1–3", "4–11", "12 and above")[band]

    def pieces(outcome: Outcome) -> Array:
        periodic = _periodic(outcome)
        return np.asarray(spectra.band_ratios(outcome.mean, outcome.truth, periodic)[..., band].mean(axis=-1))

    return Score(
        Metric(
            f"spectrum_{name}", f"spectrum {name}", "mean", 0.0,
            f"log10 of the mean field's energy in modes {modes} over the truth's: −1 has lost nine tenths of it, above 0 "
            "is too rough.",
        ),
        pieces,
    )  # fmt: skip


def _periodic(outcome: Outcome) -> tuple[bool, ...]:
    """By axis in space; raises `NotApplicable` where points are not evenly spaced."""
    closed = {
        str(outcome.data[name].attrs.get("lawbound_bc_side", ""))[:1]
        for name in schema.by_role(outcome.data, schema.WALL)
        if outcome.data[name].attrs.get("lawbound_bc_type") == "periodic"
    }
    for axis in schema.axes(outcome.data):
        steps = np.diff(outcome.data[axis].values)
        if np.ptp(steps) > 1e-6 * abs(steps.mean()):
            raise NotApplicable(f"the points along {axis} are not evenly spaced")
    return tuple(axis in closed for axis in schema.axes(outcome.data))


SPECTRUM_LOW, SPECTRUM_MID, SPECTRUM_HIGH = map(_spectrum, range(3))

CRPS_FAIR = _of_ensemble(
    "crps_fair", "CRPS fair", lambda m, y: probabilistic_scores.ensemble_crps(m, y).mean(axis=-1),
    "CRPS of joint samples, averaged over points; unbiased in their number.",
)  # fmt: skip
CRPS_BIASED = _of_ensemble(
    "crps_biased", "CRPS biased",
    lambda m, y: probabilistic_scores.ensemble_crps(m, y, estimator="biased").mean(axis=-1),
    "CRPS of joint samples taken for the whole distribution, averaged over points.",
)  # fmt: skip
ENERGY_SCORE = _of_ensemble(
    "energy_score", "energy", probabilistic_scores.energy_score,
    "Energy score of whole fields, E‖X − y‖ − ½ E‖X − X′‖, fair: the CRPS of a field.",
)  # fmt: skip
VARIOGRAM_SCORE = Score(
    Metric(
        "variogram_score", "variogram", "spread", "low",
        f"Variogram score of order ½ over pairs up to {_LAGS} points apart along x: whether samples vary together as the "
        "truth does.",
    ),
    lambda outcome: _variogram(outcome),
)  # fmt: skip
LOG_SCORE = Score(
    Metric(
        "log_score", "joint LL", "spread", "high",
        "Joint log density of the truth over all judged times, per degree of freedom; under exact laws that of the "
        "Gaussian on the states that obey them, in the measure of that plane.",
    ),
    lambda outcome: outcome.log_density(),
)  # fmt: skip
WIDTH95 = _of_moments(
    "width95", "width95", None, lambda mean, variance, truth: probabilistic_scores.interval_width(variance),
    "Mean width of the central 95 % intervals: of two methods that cover alike, the narrower knows more.",
)  # fmt: skip
INTERVAL_SCORE95 = _of_moments(
    "interval_score95", "interval95", "low", probabilistic_scores.interval_score,
    "Width of the central 95 % interval, and 40 times how far the truth lies outside it.",
)  # fmt: skip
RMSCE = Score(
    Metric(
        "rmsce", "RMSCE", "spread", "low",
        "Root mean square calibration error: nominal probabilities against how often the truth is below the quantile, at "
        "each point over samples. Of n samples, about √(0.15/n) where all is well.",
    ),
    lambda outcome: probabilistic_scores.ranks_of(
        probabilistic_scores.probability_transform(
            *(outcome.flat(v) for v in (outcome.mean, outcome.variance, outcome.truth))
        )
    ),
    lambda ranks: probabilistic_scores.rmsce(ranks.astype(np.uint8, copy=False)),
)  # fmt: skip
N_MERCI = Score(
    Metric(
        "n_merci", "n-MeRCI", "spread", "low",
        "Whether a sample's uncertainty ranks its error: 0 is best, about 1 is no better than the largest error for all.",
    ),
    lambda outcome: probabilistic_scores.total_error_and_spread(
        *(outcome.flat(v) for v in (outcome.mean, outcome.variance, outcome.truth))
    ),
    lambda totals: np.asarray(scores.n_merci(totals[:, 0], totals[:, 1])),
)  # fmt: skip


def _variogram(outcome: Outcome) -> Array:
    lags = range(1, min(_LAGS, outcome.truth.shape[-1] - 1) + 1)
    found = probabilistic_scores.variogram_score(outcome.ensemble, outcome.truth, lags=lags)
    return np.asarray(found.reshape(len(found), -1).sum(axis=-1))
