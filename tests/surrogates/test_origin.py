"""What a surrogate remembers of its data, and which data it refuses."""

import numpy as np
import pytest

import lawbound as lb
from lawbound.surrogates.origin import Axis, Origin, axis_of, walls_of
from lawbound.surrogates.surrogate import chosen_states


@pytest.fixture(scope="module")
def wave():
    return lb.generate("wave", 3, nx=33, nt=5, seed=1)


@pytest.fixture(scope="module")
def ring():
    return lb.generate("burgers-periodic", 3, nx=32, nt=5, seed=1)


def test_axes_of_nodes_cells_and_periods_span_the_domain(stefan, wave, ring):
    assert axis_of(wave, "x") == Axis(33, 0.0, 1.0)
    assert axis_of(wave, "t") == Axis(5, 0.0, 2.0)
    cells = axis_of(stefan, "x")
    assert (cells.points, cells.intervals, cells.cells, cells.periodic) == (40, 40, True, False)
    assert np.allclose((cells.low, cells.high), (0.0, 1.0))
    around = axis_of(ring, "x")
    assert (around.points, around.intervals, around.cells, around.periodic) == (32, 32, False, True)
    assert np.allclose((around.low, around.high), (0.0, 1.0))


def test_only_walls_that_prescribe_something_count(stefan, ring):
    assert walls_of(stefan) == ("bc_u_x_lo", "bc_u_x_hi")
    assert walls_of(ring) == ()


def test_fields_keep_the_order_of_the_channels(wave):
    assert chosen_states(wave, None) == ("u", "u_t")
    assert chosen_states(wave, "u_t u") == ("u", "u_t")
    for wrong in ("", "v", "u u"):
        with pytest.raises(ValueError, match="give some of u u_t"):
            chosen_states(wave, wrong)


def test_other_problems_fields_dimensions_and_spans_are_refused(wave, stefan):
    origin = Origin.of(wave, ("u", "u_t"))
    origin.refuse_others(wave)
    with pytest.raises(ValueError, match="trained on `wave`, the data are of `stefan`"):
        origin.refuse_others(stefan)
    with pytest.raises(ValueError, match="no field `u_t`"):
        origin.refuse_others(wave.drop_vars("u_t"))
    with pytest.raises(ValueError, match="along x, the data have one along y, x"):
        origin.refuse_others(wave.expand_dims(y=[0.0, 1.0]))
    origin.refuse_other_spans(lb.generate("wave", 3, nx=65, nt=9, seed=1))
    with pytest.raises(ValueError, match=r"over t in \[0, 1\], the surrogate was trained on \[0, 2\]"):
        origin.refuse_other_spans(lb.generate("wave", 3, nx=33, nt=5, seed=1, times=(0.0, 1.0)))
