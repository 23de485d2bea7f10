import numpy as np
import pytest

from lawbound.datasets.points import context_points, target_points, targets_of
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


def test_the_targets_of_a_sample_depend_on_its_number_and_one_draw_alone(stefan):
    whole = target_points(stefan, np.random.default_rng(3))
    part = target_points(stefan.isel(sample=slice(5, 8)), np.random.default_rng(3))
    np.testing.assert_array_equal(whole.times[5:8], part.times)
    np.testing.assert_array_equal(whole.positions[5:8], part.positions)


def test_every_set_of_targets_is_as_likely():
    """χ² of 20 sets of 3 out of 6, 4000 draws of each expected: 19 degrees of freedom, 44 is beyond 0.999."""
    random = np.random.default_rng(0)
    drawn = [targets_of(np.arange(8000), (6, 6), random, 3, 3) for _ in range(10)]
    for sets in ([one.times for one in drawn], [one.positions for one in drawn]):
        found, counts = np.unique(np.concatenate(sets), axis=0, return_counts=True)
        assert len(found) == 20 and ((counts - 4000) ** 2 / 4000).sum() < 44
    pairs = np.concatenate([one.times[:, 0] * 6 + one.positions[:, 0] for one in drawn])
    expected = np.multiply.outer(*[np.array([10, 6, 3, 1]) / 20] * 2) * pairs.size
    seen = np.bincount(pairs, minlength=36).reshape(6, 6)[:4, :4]
    assert ((seen - expected) ** 2 / expected).sum() < 38  # 15 degrees of freedom


def test_all_points_there_are_can_be_drawn_and_numbers_may_be_large(stefan):
    everything = targets_of(np.array([2**40, 5]), (4, 3), np.random.default_rng(0), 4, 3)
    assert everything.times.tolist() == [[0, 1, 2, 3]] * 2
    assert everything.positions.tolist() == [[0, 1, 2]] * 2


def test_too_few_stored_points_are_refused(stefan):
    with pytest.raises(ValueError, match="stores 5 times"):
        context_points(stefan.isel(t=slice(5)))


def test_splits_part_the_samples(stefan):
    parts = [of_split(stefan, name) for name in splits_of(stefan)]
    assert sorted(int(s) for part in parts for s in part.sample) == sorted(int(s) for s in stefan.sample)
    with pytest.raises(ValueError, match="no samples of split `shifted`"):
        of_split(stefan, "shifted")
