import numpy as np
import pytest
import torch

import lawbound as lb
from lawbound.rollout import resolutions, rollout, solved_again, stability
from lawbound.surrogates.covariance import Diagonal
from lawbound.surrogates.fourier_surrogate import FourierNeuralOperator
from lawbound.surrogates.origin import Origin
from lawbound.surrogates.prediction import Prediction


class Pretending:
    """A surrogate whose states at the times of the data are `states(data)`, (sample, t, x)."""

    def __init__(self, data, states, *, points=False):
        self.origin = Origin.of(data, "u", inputs=() if points else ("u", "t", "x"))
        self.states = states

    def predict(self, inputs, *, times=None):
        self.origin.refuse_others(inputs)
        mean = torch.from_numpy(np.asarray(self.states(inputs), dtype=np.float64))[None]
        return Prediction(mean, Diagonal(torch.ones_like(mean)), inputs)


def held(data):
    """The first state, for ever."""
    return np.repeat(data.u.values[:, :1], data.sizes["t"], axis=1)


def grown(data, by=0.01):
    """The first state and something more at each step."""
    return held(data) + by * np.arange(data.sizes["t"])[:, None]


def off(data):
    """What the quadrature of the stored points makes of the solver's own mass, the first time left out."""
    return data.law_conservation_residual.values[:, 1:]


@pytest.fixture(scope="module")
def walls():
    return lb.generate("heat-dirichlet", 4, split="test", nx=24, nt=9)


@pytest.fixture(scope="module")
def longer():
    """The same samples, three times as long."""
    return lb.generate("heat-dirichlet", 4, split="test", nx=24, nt=25, times=(0.0, 3.0))


def test_the_truth_is_stable_to_the_end(walls):
    found = stability(Pretending(walls, lambda data: data.u.values), walls)
    assert found.error.max() == 0.0 and np.isinf(found.lasts).all()
    assert np.abs(found.energy).max() == 0.0 and found.t.shape == (8,)
    np.testing.assert_allclose(found.mass, off(walls), atol=1e-6)


def test_drifts_and_errors_of_a_shifted_truth_are_known_by_hand(walls):
    found = stability(Pretending(walls, lambda data: data.u.values + 0.1), walls)
    u, w = walls.u.values.astype(float)[:, 1:], walls.x_weights.values
    np.testing.assert_allclose(found.mass - off(walls), 0.1, atol=1e-6)
    np.testing.assert_allclose(
        found.energy, (0.1 * (u @ w) + 0.005) / (0.5 * u**2 @ w).max(1, keepdims=True), atol=1e-6
    )
    np.testing.assert_allclose(
        found.error, 0.1 * np.sqrt(24) / np.linalg.norm(u, axis=-1).clip(1e-12), rtol=1e-5
    )


def test_an_error_that_doubles_at_each_step_grows_by_2_and_lasts_until_it_is_too_large(walls):
    steady = walls.assign(u=walls.u * 0 + 1.0)
    doubling = Pretending(
        steady, lambda data: 1.0 + 0.01 * 2.0 ** np.arange(9)[None, :, None] * np.ones((4, 1, 24))
    )
    found = stability(doubling, steady, threshold=0.3)
    np.testing.assert_allclose(found.growth, 2.0, rtol=1e-12)
    np.testing.assert_allclose(found.lasts, steady.t.values[5])  # 0.01 · 2⁵ is the first above 0.3
    named = {row["name"]: row["value"] for row in found.rows()}
    assert named["error growth per step"] == pytest.approx(2.0) and named["share below 0.3 to the end"] == 0.0


def test_beyond_the_horizon_a_surrogate_goes_on_from_its_own_last_state(walls, longer):
    seen = []

    def states(data):
        seen.append(data)
        return grown(data)

    mean = rollout(Pretending(walls, states), longer)
    wanted = longer.u.values[:, :1] + 0.01 * np.arange(25)[:, None]
    np.testing.assert_allclose(mean, wanted, rtol=1e-12)
    assert len(seen) == 3
    for k, data in enumerate(seen):
        np.testing.assert_allclose(data.t.values, walls.t.values, atol=1e-12)
        # Walls are those of that time, and of the truth nothing is handed on.
        np.testing.assert_array_equal(data.bc_u_x_lo.values, longer.bc_u_x_lo.values[..., 8 * k : 8 * k + 9])
        assert k == 0 or not data.u.values[:, 1:].any()
    found = stability(Pretending(walls, grown), longer)
    assert found.t[-1] == 3.0 and found.horizon == 1.0 and found.error.shape == (4, 24)


def test_surrogates_that_read_points_and_odd_horizons_are_refused(walls, longer):
    with pytest.raises(ValueError, match="reads points of every sample"):
        rollout(Pretending(walls, held, points=True), longer)
    with pytest.raises(ValueError, match="whole number"):
        rollout(Pretending(walls, held), longer.isel(t=slice(13)))
    with pytest.raises(ValueError, match="threshold=0"):
        stability(Pretending(walls, held), walls, threshold=0.0)


def test_samples_solved_again_are_the_same_functions(stefan):
    few = stefan.isel(sample=[2, 25, 29])
    assert solved_again(few, 40).u.identical(few.u)
    fine = solved_again(few, 80)
    np.testing.assert_array_equal(fine.u_star.values, few.u_star.values)
    np.testing.assert_array_equal(fine.split.values, few.split.values)
    pairs = fine.u.values.reshape(3, 21, 40, 2).mean(-1)
    assert np.abs(pairs - few.u.values).mean() < 0.01


def test_data_of_other_origin_cannot_be_solved_again():
    data = lb.from_arrays(
        np.random.default_rng(0).normal(size=(2, 5, 8)), t=np.arange(5.0), x=np.linspace(0, 1, 8)
    )
    with pytest.raises(ValueError, match="not made by `lawbound generate`"):
        solved_again(data, 16)


def test_an_operator_is_judged_on_finer_and_coarser_grids(walls):
    data = lb.generate("heat-dirichlet", 12, nx=24, nt=9)
    learner = FourierNeuralOperator(epochs=2, batch=4, modes=4, width=8, blocks=1, parameters=True)
    fitted = lb.fit(learner, data)
    found = resolutions(fitted, walls)
    assert list(found) == [12, 24, 48] and all(errors.shape == (4,) for errors in found.values())
    mean, truth = fitted.predict(walls).mean.numpy()[:, 1:], walls.u.values.astype(float)[:, 1:]
    axes = (1, 2)
    wanted = np.sqrt(((mean - truth) ** 2).sum(axes) / (truth**2).sum(axes))
    np.testing.assert_allclose(found[24], wanted, rtol=1e-9)


def test_a_stepping_operator_rolls_on_beyond_its_horizon(longer):
    data = lb.generate("heat-dirichlet", 12, nx=24, nt=9)
    learner = FourierNeuralOperator(epochs=2, batch=4, modes=4, width=8, blocks=1, mode="steps")
    found = stability(lb.fit(learner, data), longer)
    assert found.error.shape == (4, 24) and np.isfinite(found.error).all()
