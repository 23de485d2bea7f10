import numpy as np
import pytest
import torch

import lawbound as lb
from lawbound.comparison import chosen_times, imposed, judge
from lawbound.constraints import Condition
from lawbound.datasets.plugins import UnknownName
from lawbound.surrogates.covariance import Diagonal
from lawbound.surrogates.origin import Origin
from lawbound.surrogates.prediction import Prediction

BOTH = [imposed("conservation:project"), imposed("conservation:condition")]


def off_by(error, spread=0.05):
    """A predictor that is the truth plus a constant, equally unsure everywhere."""

    def predict(part, at):
        part = part.isel(t=at)
        u = torch.from_numpy(part.u.values.astype(np.float64))[None] + error
        return Prediction(u, Diagonal(torch.full_like(u, spread**2)), part)

    return predict


def exact_law(data):
    """Data whose law is what the stored field has, so that the truth itself is lawful."""
    mass = data.u.values.astype(np.float64) @ data.x_weights.values
    return data.assign(law_conservation_rhs=data.law_conservation_rhs.copy(data=mass))


def test_a_constant_error_is_scored_by_hand_and_removed_by_the_law(stefan_test):
    data = exact_law(stefan_test)
    result = judge({"anp": off_by(0.02)}, data, BOTH, table="t")
    for case in ("u_star=0.6", "u_star=0.5"):
        assert result.value("anp", case, "ce") == pytest.approx(0.02, rel=1e-9)
        assert result.value("anp", case, "mse") == pytest.approx(4e-4, rel=1e-9)
        assert result.value("anp", case, "coverage95") == 1.0
        for method in ("hardc", "probconserv"):
            assert result.value(method, case, "ce") == pytest.approx(0.0, abs=1e-14)
            assert result.value(method, case, "mse") == pytest.approx(0.0, abs=1e-20)


def test_the_solver_is_the_first_row_and_scored_against_the_same_right_hand_side(stefan_test):
    result = judge({"anp": off_by(0.02)}, stefan_test, BOTH, table="t")
    assert result.methods == ("solver", "anp", "hardc", "probconserv")
    assert result.rows[0].method == "solver" and result.rows[0].metric == "ce"
    now = int(np.abs(stefan_test.t.values - 0.05).argmin())
    wanted = stefan_test.law_conservation_residual.values[::2, now].mean()
    assert result.value("solver", "u_star=0.6", "ce") == pytest.approx(wanted)
    assert result.rhs_source == "analytic"
    assert 0 < result.value("solver", "u_star=0.6", "mse") < 1e-3


def test_methods_of_other_surrogates_carry_their_name(stefan_test):
    result = judge({"gp": off_by(0.0)}, stefan_test, BOTH, table="t")
    assert result.methods == ("solver", "gp", "gp+hardc", "gp+probconserv")


def test_the_verdict_says_so_when_the_law_makes_it_worse(stefan_test):
    # The truth, judged under a right-hand side that is off: conditioning can only harm.
    wrong = stefan_test.assign(law_conservation_rhs=stefan_test.law_conservation_rhs + 0.05)
    worse = judge({"anp": off_by(0.001)}, wrong, BOTH, table="t")
    better = judge({"anp": off_by(0.02)}, exact_law(stefan_test), BOTH, table="t")
    assert worse.value("hardc", "u_star=0.6", "mse") > worse.value("anp", "u_star=0.6", "mse")
    assert worse.verdict != better.verdict
    assert any(word in worse.verdict.lower() for word in ("higher", "rose", "raise", "worse"))
    assert not any(word in better.verdict.lower() for word in ("higher", "rose", "raise", "worse"))


def test_numbers_do_not_depend_on_how_samples_are_grouped(stefan_test, monkeypatch):
    import lawbound.comparison as module

    one = judge({"anp": off_by(0.02)}, stefan_test, BOTH, table="t")
    monkeypatch.setattr(module, "_CHUNK", 1)
    other = judge({"anp": off_by(0.02)}, stefan_test, BOTH, table="t")
    for a, b in zip(one.rows, other.rows, strict=True):
        if not a.metric.startswith("front"):  # joint samples are drawn group by group
            assert a.value == pytest.approx(b.value, rel=1e-12, abs=1e-15)


def test_the_front_of_a_sharp_prediction_is_where_it_should_be(stefan_test):
    result = judge({"anp": off_by(0.0, spread=1e-4)}, stefan_test, [], table="t")
    assert abs(result.value("anp", "u_star=0.6", "front_bias")) < 1e-3
    assert result.value("anp", "u_star=0.6", "front_crps") < 1e-3


def test_json_has_every_row_and_no_nan(stefan_test):
    import json

    result = judge({"anp": off_by(0.02)}, stefan_test, BOTH, table="t")
    text = json.dumps(result.to_json(), allow_nan=False)
    assert len(json.loads(text)["rows"]) == len(result.rows)
    assert set(json.loads(text)["rows"][0]) == {
        "method",
        "case",
        "metric",
        "value",
        "stderr",
        "published",
        "source",
        "low",
        "high",
    }


class Foreign:
    origin = Origin("pme", ("u",), {}, "0")

    def predict(self, inputs, *, times=None):
        raise AssertionError("must not be asked")

    def tensors(self):
        return {}


def test_runs_of_another_problem_training_data_only_and_unknown_names_are_refused(stefan_test, stefan):
    with pytest.raises(ValueError, match="trained on `pme`, the data are of `stefan`"):
        lb.compare({"x": Foreign()}, stefan_test)
    with pytest.raises(ValueError, match="compare on held-out"):
        lb.compare({"x": Foreign()}, stefan.isel(sample=slice(5)))
    with pytest.raises(ValueError, match="at least one run"):
        lb.compare({}, stefan_test)
    with pytest.raises(UnknownName, match="Did you mean conservation"):
        imposed("conservatoin")
    with pytest.raises(ValueError, match="`wish` is not an enforcement"):
        imposed("conservation:wish")


def test_the_time_of_interest_is_always_among_the_judged_times(stefan_test):
    for count in (1, 2, 3, 50):
        chosen = chosen_times(stefan_test, count)
        assert (np.abs(stefan_test.t.values[chosen] - 0.05) < 1e-12).any()
    with pytest.raises(ValueError, match="at least one"):
        chosen_times(stefan_test, 0)


def test_splits_that_share_parameter_values_stay_apart():
    x, t = np.linspace(0, 1, 5), np.array([0.0, 1.0])
    u = np.ones((6, 2, 5)) * np.arange(1, 7)[:, None, None]
    data = lb.from_arrays(
        u, t=t, x=x, mass=u.mean(-1), parameters={"a": [1, 1, 2, 1, 1, 2]}, split=["test"] * 3 + ["ood"] * 3
    )
    result = judge({"x": off_by(0.1)}, data, [], table="t")
    assert {case.name: case.samples.tolist() for case in result.cases} == {
        "test, a=1": [0, 1],
        "test, a=2": [2],
        "ood, a=1": [3, 4],
        "ood, a=2": [5],
    }


def test_the_closed_form_is_asked_with_the_family_s_own_parameter(stefan_test):
    both = stefan_test.assign(nu=stefan_test.u_star.copy(data=np.full(4, 9.0)))
    one, other = (judge({"x": off_by(0.0)}, data, [], table="t") for data in (stefan_test, both))
    assert other.value("solver", other.cases[0].name, "mse") == pytest.approx(
        np.mean([one.value("solver", case.name, "mse") for case in one.cases]), rel=1e-9
    )


def test_a_constraint_asked_for_twice_is_one_method(stefan_test):
    class Truth(Foreign):
        origin = Origin("stefan", ("u",), {}, "0")

        def predict(self, inputs, *, times=None):
            return off_by(0.02)(inputs, times)

    result = lb.compare({"x": Truth()}, stefan_test, ["conservation", "conservation:condition"], times=1)
    assert result.methods == ("solver", "x", "x+probconserv")


def test_a_constraint_is_named_with_its_options_and_how():
    plain = imposed("conservation(tolerance=0.1)&maximum-principle:condition(power=0.5)")
    assert plain.constraint.name == "conservation&maximum-principle" and plain.how == Condition(power=0.5)
    assert plain.constraint.parts[0].tolerance == 0.1
    assert imposed("conservation&monotone").label == "conservation&monotone"
    assert imposed("conservation").label == "probconserv" and imposed("conservation:project").label == "hardc"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("conservation(wish=1)", r"does not take these options .* it takes .*tolerance"),
        ("conservation(tolerance", "no closing bracket"),
        ("conservation(tolerance)", "is not OPTION=VALUE"),
        ("conservation:condition:project", "more than one enforcement"),
        ("conservation:wish", "`wish` is not an enforcement"),
        ("wish&conservation", "is not among the constraints"),
    ],
)
def test_a_constraint_that_cannot_be_read_is_refused(spec, message):
    with pytest.raises(ValueError, match=message):
        imposed(spec)


def test_samples_of_one_parameter_share_a_truth_only_where_nothing_else_is_random(stefan_test):
    said = "samples of one parameter value share one truth"
    assert any(
        note.startswith(said) for note in judge({"anp": off_by(0.0)}, stefan_test, BOTH, table="t").notes
    )
    random = lb.generate("burgers-random", 3, split="test", nx=16, nt=3)
    assert not any(note.startswith(said) for note in judge({"fno": off_by(0.0)}, random, [], table="t").notes)
