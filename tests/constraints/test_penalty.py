"""A penalty vanishes on lawful states, grows with what they miss, and pulls towards the law."""

import numpy as np
import pytest
import torch

from lawbound.constraints import Conservation
from lawbound.constraints.constraint import Admissible
from lawbound.constraints.penalty import Penalty
from lawbound.constraints.sets import Box, Curved, Order, Variation
from lawbound.datasets.layout import Layout


def states(data):
    return torch.from_numpy(Layout.of(data, ("u",)).state(data))


def test_lawful_states_cost_nothing_and_missing_mass_its_square(stefan):
    penalty = Penalty.of(Conservation(), stefan, weight=3.0)
    u = states(stefan)
    assert penalty(u).max() < 1e-5  # 40 cells: the reference itself misses the analytic mass by 1e-3
    off = penalty(u + 0.1)  # the domain has length 1
    torch.testing.assert_close(
        off, (3.0 * (0.1 / penalty.scale[0]) ** 2).expand(off.shape), rtol=0.03, atol=0.0
    )
    torch.testing.assert_close(penalty(2.0 * u - states(stefan), None), penalty(u), rtol=0.0, atol=1e-7)


def test_samples_pick_their_own_right_hand_sides(stefan):
    penalty, u = Penalty.of(Conservation(), stefan), states(stefan)
    picked = torch.tensor([2, 0])
    torch.testing.assert_close(penalty(u[picked] * 1.1, picked), penalty(u * 1.1)[picked])


def test_descending_the_penalty_leads_to_the_law(stefan):
    penalty = Penalty.of(Conservation(), stefan)
    u = (states(stefan) + 0.2).requires_grad_()
    before = float(penalty(u).sum().detach())
    descent = torch.optim.LBFGS([u], max_iter=20, tolerance_grad=0.0, tolerance_change=0.0)

    def closure():
        descent.zero_grad()
        value = penalty(u).sum()
        value.backward()
        return value

    descent.step(closure)
    assert float(penalty(u).sum().detach()) < 1e-8 * before


def test_every_other_part_is_felt_where_it_is_broken_and_only_there(stefan):
    layout = Layout.of(stefan, ("u",))
    n, shape = layout.size, (stefan.sizes["sample"], stefan.sizes["t"])
    chain = (np.array([0]), np.array([n]))
    parts = {
        "box": Box(np.zeros((*shape, n)), np.ones((*shape, n)), "0 ≤ u ≤ 1"),
        "order": Order(*chain, np.array([-1]), "falling"),
        "variation": Variation(*chain, np.full(shape, 1.0), "variation"),
        "curved": (
            Curved(lambda u: u.square().mean(-1, keepdim=True), np.ones((*shape, 1)), ("energy",), True),
        ),
    }
    falling = torch.linspace(1.0, 0.0, n, dtype=torch.float64).expand(*shape, n)
    bump = falling.clone()
    bump[..., n // 2] = 1.8
    for name, part in parts.items():
        penalty = Penalty(Admissible(layout, **{name: part}), torch.ones(1, dtype=torch.float64))
        assert penalty(falling).max() < 1e-12
        broken = (2.0 * bump).requires_grad_()
        penalty(broken).sum().backward()
        assert penalty(broken).min() > 1e-4
        assert torch.isfinite(broken.grad).all() and broken.grad.abs().max() > 0.0


def test_a_weight_that_is_none_is_refused(stefan):
    for weight in (0.0, -1.0, np.inf, np.nan):
        with pytest.raises(ValueError, match="finite number above 0"):
            Penalty.of(Conservation(), stefan, weight=weight)
