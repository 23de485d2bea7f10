"""Scores by name, intervals, what is shown, and data that cannot be judged."""

import json
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

import lawbound as lb
from lawbound.comparison import imposed, judge, scored_by
from lawbound.datasets.plugins import UnknownName, load_all
from lawbound.score import Metric, NotApplicable, Score
from lawbound.score_list import DEFAULTS, LOG_SCORE
from lawbound.surrogates.covariance import Diagonal
from lawbound.surrogates.origin import Origin
from lawbound.surrogates.prediction import Prediction
from lawbound.verdict import verdict

LAW = [imposed("conservation:condition")]


def off_by(error, spread=0.05):
    """The truth plus a constant for each sample, equally unsure everywhere."""

    def predict(part, at):
        part = part.isel(t=at)
        u = torch.from_numpy(part.u.values.astype(np.float64))[None]
        return Prediction(
            u + error * (1.0 + torch.from_numpy(part.sample.values.copy())[:, None, None]),
            Diagonal(torch.full_like(u, spread**2)),
            part,
        )

    return predict


def noisy(part, at):
    part = part.isel(t=at)
    u = torch.from_numpy(part.u.values.astype(np.float64))[None]
    generator = torch.Generator().manual_seed(int(part.sample.values[0]))
    return Prediction(
        u + 0.1 * torch.randn(u.shape, generator=generator, dtype=u.dtype),
        Diagonal(torch.full_like(u, 0.01)),
        part,
    )


def test_every_declared_score_goes_by_its_name_and_gives_a_number_on_some_data(stefan_test):
    declared = load_all("scores")
    assert all(score.name == name for name, score in declared.items())
    assert {score.name for score in DEFAULTS} <= set(declared)
    result = judge({"anp": noisy}, stefan_test, LAW, table="t", scores=list(declared.values()))
    for name in declared:
        for method in ("anp", "probconserv"):
            value = result.value(method, "u_star=0.6", name)
            assert value is not None, (name, method)
            assert np.isfinite(value) or name == "n_merci", (name, method)  # two samples may err alike


def test_named_scores_are_the_columns_and_nothing_else(stefan_test):
    result = judge(
        {"x": off_by(0.02)}, stefan_test, LAW, table="t", scores=[scored_by("crps"), scored_by("rel_l2")]
    )
    assert {row.metric for row in result.rows} == {"crps", "rel_l2"}
    assert [metric.key for metric in result.metrics] == ["crps", "rel_l2"]
    assert "Log-likelihood" not in result.verdict and "∫u dx = b(t) holds to round-off" in result.verdict


def test_law_and_wall_errors_have_the_solver_s_own_as_the_floor(stefan_test):
    result = judge(
        {"x": off_by(0.02)}, stefan_test, LAW, table="t", scores=[scored_by("law_error"), scored_by("bc_max")]
    )
    own = np.abs(stefan_test.law_conservation_residual).max("t") / np.abs(
        stefan_test.law_conservation_rhs
    ).max("t")
    assert result.value("solver", "u_star=0.6", "law_error") == pytest.approx(own.values[::2].mean())
    assert result.value("x+probconserv", "u_star=0.6", "law_error") < 1e-12
    assert result.value("x", "u_star=0.6", "law_error") > 1e-3
    assert 0.0 < result.value("solver", "u_star=0.6", "bc_max") < result.value("x", "u_star=0.6", "bc_max")


def test_a_constant_error_has_wall_error_and_interval_as_it_should(stefan_test):
    result = judge(
        {"x": off_by(0.02)},
        stefan_test,
        [],
        table="t",
        scores=[scored_by("mse"), scored_by("crmse_pdebench")],
    )
    squares = (0.02 * np.array([1.0, 3.0])) ** 2  # samples 0 and 2
    (row,) = [row for row in result.rows if (row.method, row.case, row.metric) == ("x", "u_star=0.6", "mse")]
    assert row.value == pytest.approx(squares.mean())
    assert (row.low, row.high) == (pytest.approx(squares[0]), pytest.approx(squares[1]))
    (row,) = [
        row
        for row in result.rows
        if (row.method, row.case, row.metric) == ("x", "u_star=0.6", "crmse_pdebench")
    ]
    assert row.value == pytest.approx(np.sqrt(squares.mean())) and row.stderr is None
    assert row.low == pytest.approx(0.02) and row.high == pytest.approx(0.06)


def test_pooled_scores_do_not_depend_on_how_samples_are_grouped(stefan_test, monkeypatch):
    import lawbound.comparison as module

    chosen = [scored_by(name) for name in ("rmsce", "n_merci", "frmse_low_pdebench", "crmse_pdebench")]
    data = stefan_test.assign(u_star=stefan_test.u_star.copy(data=np.linspace(0.5, 0.6, 4)))
    one = judge({"x": off_by(0.02)}, data, LAW, table="t", scores=chosen)
    monkeypatch.setattr(module, "_CHUNK", 3)
    other = judge({"x": off_by(0.02)}, data, LAW, table="t", scores=chosen)
    for a, b in zip(one.rows, other.rows, strict=True):
        assert a.value == pytest.approx(b.value)
        if (
            a.metric != "n_merci"
        ):  # of one sample drawn again and again it is undefined, or round-off over round-off
            assert (a.low, a.high) == (pytest.approx(b.low), pytest.approx(b.high))


def test_a_score_of_one_s_own_is_a_column(stefan_test):
    largest = Score(
        Metric("largest", "largest error", "mean", "low", "Largest error of the mean."),
        lambda outcome: np.abs(outcome.mean - outcome.truth).max(axis=(1, 2)),
        closed_form=True,
    )
    result = judge({"x": off_by(0.02)}, stefan_test, [], table="t", scores=[largest])
    assert result.value("x", "u_star=0.6", "largest") == pytest.approx(0.04)
    assert result.value("solver", "u_star=0.6", "largest") > 0.0


def test_a_score_that_some_methods_lack_leaves_a_gap_and_one_that_all_lack_is_an_error(stefan_test):
    bounded = [imposed("conservation&bounds(lower=-10.0)")]  # samples moved onto bounds have no density
    result = judge({"x": off_by(0.02)}, stefan_test, bounded, table="t", scores=[LOG_SCORE])
    assert result.value("x", "u_star=0.6", "log_score") is not None
    assert result.value("x+conservation&bounds(lower=-10.0)", "u_star=0.6", "log_score") is None
    data = lb.generate("diffusion", 2, nx=20, nt=4, split="test")
    with pytest.raises(ValueError, match="`front_bias`: the data name no level of a front"):
        judge({"x": off_by(0.02)}, data, [], table="t", scores=[scored_by("front_bias")])
    with pytest.raises(UnknownName, match=r"Did you mean .*crps"):
        scored_by("crsp")


def test_best_median_and_worst_sample_are_shown(stefan_test):
    data = stefan_test.assign(u_star=stefan_test.u_star.copy(data=np.full(4, 0.6)))
    result = judge({"x": off_by(0.02)}, data, LAW, table="t")
    (case,) = result.cases
    assert case.shown.tolist() == [0, 1, 3]
    now = int(np.abs(data.t.values - 0.05).argmin())
    np.testing.assert_array_equal(case.truth, data.u.values[[0, 1, 3], now])
    found = result.evidence["x", case.name]
    np.testing.assert_allclose(found.mean - case.truth, np.outer([0.02, 0.04, 0.08], np.ones(40)))
    push = result.evidence["x+probconserv", case.name].push
    np.testing.assert_allclose(push.shift, push.changes.mean(0))
    # What was moved is what the law missed.
    np.testing.assert_allclose(
        push.changes @ data.x_weights.values, -(found.mass - case.rhs)[:, now], rtol=1e-9
    )
    assert found.pit.sum() == pytest.approx(1.0) and found.seconds > 0.0


def test_one_sample_and_one_run_are_enough(stefan_test):
    result = judge({"only": off_by(0.02)}, stefan_test.isel(sample=[0]), [], table="t")
    assert result.cases[0].shown.tolist() == [0]
    assert all(row.low is None and row.stderr is None for row in result.rows)
    assert result.verdict == "Nothing was imposed after training."


# What the verdict says.


def with_mass(result, method, residual):
    """The same comparison with that much missing of every total of a method."""
    rhs = {case.name: case.rhs for case in result.cases}
    evidence = {
        (label, case): replace(found, mass=rhs[case] + residual) if label == method else found
        for (label, case), found in result.evidence.items()
    }
    return replace(result, evidence=evidence)


def test_a_residual_within_the_law_s_tolerance_holds_to_the_tolerance(stefan_test):
    result = judge({"anp": off_by(0.02)}, stefan_test, LAW, table="t")

    def known_to(tolerance):
        cases = [
            replace(case, tolerance=tolerance and np.full_like(case.rhs, tolerance)) for case in result.cases
        ]
        return replace(result, cases=tuple(cases))

    def said(residual, tolerance=1e-9):
        return verdict(with_mass(known_to(tolerance), "probconserv", residual), ["anp"], LAW)

    assert (
        "holds to the tolerance that b is known to (1e-9 or more): largest residual 3e-11, before 0."
        in said(3e-11)
    )
    assert "holds only approximately" in said(3e-9)
    assert "holds to round-off" in said(3e-14)
    assert "holds only approximately" in said(3e-11, None)


@pytest.mark.parametrize(
    ("ratio", "told"),
    [
        (1.0, "stayed in 2 of 2 (at u_star = 0.5, 0.6): probconserv unchanged, unchanged"),
        (0.9999, "unchanged, unchanged"),
        (0.997, "fell in 2 of 2 (at u_star = 0.5, 0.6): probconserv −0.3 %, −0.3 %"),
        (1.004, "rose in 2 of 2 (at u_star = 0.5, 0.6): probconserv +0.4 %, +0.4 %"),
        (0.8, "probconserv −20 %, −20 %"),
        (0.004, "probconserv −99.6 %, −99.6 %"),
        (30.0, "probconserv ×30, ×30"),
    ],
)
def test_changes_are_told_in_digits_that_mean_something(stefan_test, ratio, told):
    result = judge({"anp": off_by(0.02)}, stefan_test, LAW, table="t")
    rows = tuple(
        replace(row, value=ratio * result.value("anp", row.case, "mse"))
        if (row.method, row.metric) == ("probconserv", "mse")
        else row
        for row in result.rows
    )
    said = verdict(replace(result, rows=rows), ["anp"], LAW)
    assert told in said and "−0 %" not in said and "+0 %" not in said


# Bad input.


@dataclass(frozen=True)
class Run:
    origin: Origin

    def predict(self, inputs, *, times=None):
        self.origin.refuse_other_spans(inputs)
        return off_by(0.02)(inputs, times)

    def tensors(self):
        return {}


def test_runs_of_another_problem_or_grid_are_refused(stefan_test):
    with pytest.raises(ValueError, match="trained on `pme`, the data are of `stefan`"):
        lb.compare({"x": Run(Origin("pme", ("u",), {}, "0"))}, stefan_test)
    wide = stefan_test.assign_coords(x=2.0 * stefan_test.x)
    with pytest.raises(
        ValueError, match=r"run over x in .*, the surrogate was trained on .* over the same span"
    ):
        lb.compare({"x": Run(Origin.of(wide, "u"))}, stefan_test)
    plane = lb.generate("pme-2d", 1, nx=8, nt=3, split="test")
    with pytest.raises(ValueError, match=r"trained on a grid along y, x, the data have one along x"):
        lb.compare({"x": Run(replace(Origin.of(plane, "u"), problem="stefan"))}, stefan_test)


def test_data_without_truth_or_without_samples_in_common_are_refused(stefan_test, stefan):
    run = {"x": Run(Origin.of(stefan_test, "u"))}
    with pytest.raises(ValueError, match="`u`"):
        lb.compare(run, stefan_test.drop_vars("u"))
    with pytest.raises(ValueError, match="trained and chosen on; compare on held-out ones"):
        lb.compare(run, stefan.isel(sample=slice(20)))
    with pytest.raises(ValueError, match="no sample"):
        lb.compare(run, stefan_test.isel(sample=slice(0)))
    hole = stefan_test.assign(u=stefan_test.u.where(stefan_test.t < 0.05))
    with pytest.raises(ValueError, match="`u` is not finite for sample 0"):
        lb.compare(run, hole)


def test_constraints_that_the_data_do_not_carry_are_all_named_before_any_work(stefan_test):
    class Never(Run):
        def predict(self, inputs, *, times=None):
            raise AssertionError("must not be asked")

    bare = stefan_test.drop_vars([name for name in stefan_test if str(name).startswith("law_conservation")])
    with pytest.raises(ValueError, match=r"law_conservation_rhs[\s\S]*no robin wall"):
        lb.compare({"x": Never(Origin.of(bare, "u"))}, bare, ["conservation", "robin"])


def test_json_says_what_was_judged_and_what_it_cost(stefan_test):
    result = lb.compare({"x": Run(Origin.of(stefan_test, "u"))}, stefan_test, ["conservation"], times=2)
    found = json.loads(json.dumps(result.to_json(), allow_nan=False))
    assert found["hashes"]["data"] == stefan_test.attrs["lawbound_config_sha256"]
    assert set(found["seconds_per_sample"]) == {"solver", "x", "x+probconserv"}
    assert found["seconds_per_sample"]["x+probconserv"] > 0.0


def test_what_does_not_apply_says_so_to_whoever_writes_a_score(stefan_test):
    def never(outcome):
        raise NotApplicable("it never does")

    with pytest.raises(ValueError, match="`own`: it never does"):
        judge(
            {"x": off_by(0.0)},
            stefan_test,
            [],
            table="t",
            scores=[Score(Metric("own", "", "other", None, ""), never)],
        )
