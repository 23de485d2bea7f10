import numpy as np
import pytest

from lawbound.datasets.points import context_points, target_points
from lawbound.datasets.split import of_split, splits_of


def test_context_takes_one_time_of_each_interval_and_sorted_distinct_positions(stefan):
    points = context_points(stefan)
    edges = np.linspace(0, stefan.sizes["t"], 11).round()
    for i in range(10):
        assert ((points.times[:, i] >= edges[i]) & (points.times[:, i] < edges[i + 1])).all()
    assert (np.diff(points.positions, axis=1) > 0).all()


def test_the_context_of_a_sample_depends_on_its_number_and_the_seed_alone(stefan):
    whole, part = context_points(stefan), context_points(stefan.isel(sample=slice(5, 8)))
    np.testing.assert_array_equal(whole.positions[5:8], part.positions)
    np.testing.assert_array_equal(whole.times[5:8], part.times)
    assert not np.array_equal(whole.positions, context_points(stefan, seed=1).positions)


def test_points_are_stored_points(stefan):
    points = context_points(stefan)
    values, where = points.values(stefan.u.values), points.coordinates(stefan.t.values, stefan.x.values)
    for sample in (0, 7):
        for value, (t, x) in zip(values[sample], where[sample], strict=True):
            assert value == float(stefan.u[sample].sel(t=t, x=x))


def test_targets_are_drawn_anew_and_sorted(stefan):
    random = np.random.default_rng(0)
    first, second = target_points(stefan, random), target_points(stefan, random)
    assert not np.array_equal(first.times, second.times)
    assert (np.diff(first.times, axis=1) > 0).all() and (np.diff(first.positions, axis=1) > 0).all()


def test_too_few_stored_points_are_refused(stefan):
    with pytest.raises(ValueError, match="stores 5 times"):
        context_points(stefan.isel(t=slice(5)))


def test_splits_part_the_samples(stefan):
    parts = [of_split(stefan, name) for name in splits_of(stefan)]
    assert sorted(int(s) for part in parts for s in part.sample) == sorted(int(s) for s in stefan.sample)
    with pytest.raises(ValueError, match="no samples of split `shifted`"):
        of_split(stefan, "shifted")
