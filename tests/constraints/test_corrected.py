"""BOON inside training: walls of the data hold at the output, in the data's own signs and units, and runs are kept."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import lawbound as lb
from lawbound.constraints import Conservation, Dirichlet, Neumann, Robin
from lawbound.constraints.corrected import Boon, operator
from lawbound.constraints.inside import Operator
from lawbound.datasets.split import of_split
from lawbound.surrogates.fourier_surrogate import FourierNeuralOperator

FNO = FourierNeuralOperator(epochs=2, batch=8, modes=3, width=6, blocks=2, parameters=True)


def fitted_on(data, learner):
    return learner.fit(of_split(data, "train"), of_split(data, "valid"), seed=0)


@pytest.fixture(scope="module")
def values():
    return lb.generate("burgers-random", 20, nx=17, nt=5, seed=1)


@pytest.fixture(scope="module")
def slopes():
    """The heater sits at the right wall, whose flux is not 0; mirrored, it sits at the left one."""
    return lb.generate("heat-neumann", 20, nx=17, nt=5, seed=1)


def mirrored(data):
    x = data.x.values
    turned = data.isel(x=slice(None, None, -1)).assign_coords(x=("x", (x[0] + x[-1]) - x[::-1], data.x.attrs))
    low, high = data.bc_u_x_lo, data.bc_u_x_hi
    return turned.assign(
        bc_u_x_lo=(high.dims, high.values, low.attrs), bc_u_x_hi=(low.dims, low.values, high.attrs)
    )


@pytest.mark.parametrize("method", ["boon", "boon-as-released"])
def test_prescribed_values_hold_at_the_output(values, method):
    fitted = fitted_on(values, replace(FNO, inside=Boon(Dirichlet(), method)))
    prediction = fitted.predict(of_split(values, "test"))
    residual = Dirichlet().residual(prediction.mean.numpy(), prediction.inputs)
    assert np.abs(residual).max() < 1e-6 * float(prediction.mean.abs().max())
    assert float(prediction.variance[..., [0, -1]].max()) == 0.0 < float(prediction.variance[..., 1:-1].min())


@pytest.mark.parametrize("turn", [lambda data: data, mirrored], ids=["right", "left"])
def test_prescribed_slopes_hold_at_either_wall_with_their_sign(slopes, turn):
    data = turn(slopes)
    flux = max(np.abs(data.bc_u_x_lo.values).max(), np.abs(data.bc_u_x_hi.values).max())
    fitted = fitted_on(data, replace(FNO, inside=Boon(Neumann())))
    prediction = fitted.predict(of_split(data, "test"))
    residual = np.abs(Neumann().residual(prediction.mean.numpy(), prediction.inputs)).max()
    assert residual < 1e-4 * flux / float(data.k.values.min())  # of stencils with weights of 1/h, in float32
    others = fitted_on(data, FNO).predict(of_split(data, "test"))
    assert np.abs(Neumann().residual(others.mean.numpy(), others.inputs)).max() > 1e3 * residual


def test_a_run_is_kept_and_named_by_its_method(values, tmp_path):
    spec = "dirichlet:operator(method=boon)"
    fitted = lb.fit("fno", values, folder=tmp_path / "r", options=_options(), constraints=[spec])
    again = lb.load(tmp_path / "r")
    test = of_split(values, "test")
    assert torch.equal(again.predict(test).mean, fitted.predict(test).mean)
    plain = lb.fit("fno", values, options=_options()).predict(test)
    assert not torch.allclose(plain.mean[..., 1:-1], fitted.predict(test).mean[..., 1:-1])
    found = lb.compare([tmp_path / "r"], values, constraints=[], times=2)
    assert "fno+boon(dirichlet)" in {row.method for row in found.rows}


def _options():
    return {"epochs": 2, "batch": 8, "modes": 3, "width": 6, "blocks": 2}


def test_what_boon_knows_nothing_of_is_refused(values):
    with pytest.raises(ValueError, match="not for robin; take the lift"):
        operator(Robin(), method="boon")
    with pytest.raises(ValueError, match="not for conservation"):
        operator(Dirichlet() & Conservation(), method="boon")
    with pytest.raises(ValueError, match="one field"):
        operator(Dirichlet("u") & Dirichlet("v"), method="boon")
    with pytest.raises(ValueError, match="method='hero'; give lift, boon"):
        operator(Dirichlet(), method="hero")
    cells = lb.generate("pme", 20, nx=16, nt=4, seed=1)
    with pytest.raises(ValueError, match=r"cell averages\. Take the lift"):
        fitted_on(cells, replace(FNO, inside=Boon(Dirichlet())))
    with pytest.raises(ValueError, match="not of their steps; take mode=whole"):
        fitted_on(values, replace(FNO, inside=Boon(Dirichlet()), mode="steps"))
    with pytest.raises(TypeError, match="cannot be opened"):
        fitted_on(values, replace(FNO, inside=Boon(Dirichlet()), extension="mirror"))
    assert isinstance(operator(Dirichlet()), Operator)
