"""The rules on the released networks: what they are told, and that they keep what docs/results.md says."""

import numpy as np
import pytest

from lawbound.constraints import enforce
from lawbound.reproduce import frozen_data, reproduce, rules
from lawbound.surrogates.prediction import from_moments

PARAMETER = {"stefan": "u_star", "pme": "m"}


def errors(problem, label, every=1):
    """MSE × 1e-4 by parameter value, of a rule (None: as it was)."""
    data = frozen_data(problem).isel(sample=slice(None, None, every))
    prediction = from_moments(data)
    if label is not None:
        (item,) = [item for item in rules(problem) if item.label == label]
        prediction = enforce(prediction, item.constraint, item.how).prediction
    squared = ((prediction.mean.numpy() - data.u.values) ** 2).mean((1, 2))
    values = data[PARAMETER[problem]].values
    return {float(v): 1e4 * squared[values == v].mean() for v in np.unique(values)}


@pytest.mark.parametrize("problem", PARAMETER)
@pytest.mark.parametrize("label", ["auto", "auto-falling-bounded"])
def test_auto_is_never_worse_than_nothing_by_more_than_two_percent(problem, label):
    free, lawful = errors(problem, None, 5), errors(problem, label, 5)
    assert all(lawful[value] <= 1.02 * free[value] for value in free)


def test_one_rule_for_the_porous_medium_equation():
    lawful = errors("pme", "auto")
    assert lawful[1.0] <= 0.19 and lawful[3.0] <= 1.86 and lawful[6.0] <= 7.8


def test_a_front_out_of_range_is_put_right():
    published, two, one = (errors("stefan", label, 5) for label in ("probconserv", "auto-two-phases", "auto"))
    assert two[0.5] <= 0.4 * published[0.5] and one[0.5] <= 0.4 * published[0.5]
    assert two[0.6] <= 0.75 * published[0.6]


@pytest.mark.parametrize("problem", PARAMETER)
def test_every_rule_says_what_it_was_told_and_none_was_told_the_truth(problem):
    for item in rules(problem):
        inputs = item.constraint.inputs
        assert "law_conservation_rhs" in inputs
        assert not {"u", "front_level", "law_conservation_tolerance"} & set(inputs)
        data = frozen_data(problem).isel(sample=[0, 60, 99])
        blind = data.assign(
            u=data.u * np.nan, law_conservation_tolerance=data.law_conservation_tolerance * np.nan
        )
        seen, unseen = (
            enforce(from_moments(d), item.constraint, item.how).prediction.mean for d in (data, blind)
        )
        np.testing.assert_array_equal(seen, unseen)


def test_the_quick_table_has_the_published_rows_and_auto():
    ((_, result),) = reproduce("frozen/pme", quick=True).parts
    assert result.methods == ("solver", "anp", "hardc", "probconserv", "auto")
