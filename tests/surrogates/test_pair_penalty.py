"""The term in an attentive process's loss: the formula, its gradient, and training that goes on bit for bit."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import lawbound as lb
from lawbound.constraints import Equation
from lawbound.constraints.penalty import Penalised
from lawbound.datasets.split import of_split
from lawbound.specs import constrained
from lawbound.surrogates.attentive_network import AttentiveNetwork, Batch, loss
from lawbound.surrogates.neural_process import AttentiveNeuralProcess
from lawbound.surrogates.pair_penalty import PairPenalty

TERM = Penalised(Equation(form="cells"), 2.0)
SMALL = AttentiveNeuralProcess(
    width=8, heads=2, epochs=2, batch=6, learning_rate=1e-2, validate_every=1, draws=2, penalties=(TERM,)
)


@pytest.fixture(scope="module")
def splits():
    data = lb.generate("diffusion", 20, nx=12, nt=12, seed=1)
    return of_split(data, "train").isel(sample=slice(8)), of_split(data, "valid")


def test_the_loss_has_the_term_of_two_neighbouring_times_and_it_pulls(splits):
    train, term = splits[0], TERM.on(splits[0], ("u",))
    points = torch.rand(8, 9, 3, generator=torch.Generator().manual_seed(1))
    penalised = PairPenalty([term], train, torch.device("cpu"))
    torch.manual_seed(0)
    network = AttentiveNetwork(8, 2, 0.0).train()
    order = torch.tensor([3, 1, 7, 0, 2, 4, 6, 5])
    (paired,) = penalised.paired([Batch(points, points)], order, np.random.default_rng(0))
    # With targets that are the context z's draw is the same whoever draws it first.
    answers = []
    for compute in (lambda: penalised(network, paired), lambda: loss(network, paired.batch)):
        torch.manual_seed(4)
        answers.append(compute())
    added = answers[0] - answers[1]
    torch.manual_seed(4)
    posterior = network.latent(points)
    z, encoding = posterior.draw(torch.randn(8, 8)), network.encode(points)
    series, tables = term.given
    for i, (sample, first) in enumerate(zip(order, paired.starts, strict=True)):
        window = slice(int(first), int(first) + 2)
        t, x = (torch.tensor(train[name].values, dtype=torch.float32) for name in ("t", "x"))
        where = torch.cartesian_prod(t[window], x)[None]
        part = type(encoding)(*(one[i : i + 1] for one in encoding))
        mean, _ = network.decode(network.attend(part, where), z[i : i + 1], where)
        asked = term(mean.reshape(2, -1), [one[sample, window] for one in series], tables)
        torch.testing.assert_close(added[i], 9 * asked.float(), rtol=1e-2, atol=1e-3)
    added.sum().backward()
    assert all(float(p.grad.abs().max()) > 0.0 for p in network.decoder.first.parameters())


def test_stopped_and_resumed_is_as_never_stopped_with_the_term(splits, tmp_path):
    whole = SMALL.fit(*splits, seed=3).tensors()
    replace(SMALL, epochs=1).fit(*splits, seed=3, folder=tmp_path)
    resumed = SMALL.fit(*splits, seed=3, folder=tmp_path, resume=True).tensors()
    assert all(torch.equal(resumed[name], tensor) for name, tensor in whole.items())
    plain = replace(SMALL, penalties=()).fit(*splits, seed=3).tensors()
    assert any(not torch.equal(plain[name], tensor) for name, tensor in whole.items())


def test_what_it_cannot_take_is_refused_by_name():
    with pytest.raises(ValueError, match="`anp` has no network on a grid that dirichlet:operator"):
        constrained(SMALL, ["dirichlet:operator"])
