"""Terms of a loss that ask predicted states to obey, beside what the loss itself asks."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from lawbound.surrogates.answers import Answer, Gaussian
from lawbound.surrogates.samples import Samples
from lawbound.surrogates.surrogate import LossTerm


def total_penalty(
    terms: Sequence[LossTerm], axes: int, answer: Answer, device: torch.device
) -> Callable[[Tensor, Samples], Tensor]:
    """Σ of the terms for each sample, (*lead,), of what is said of the mean; of several means, their average."""
    tables = [tuple(table.to(device) for table in term.given.tables) for term in terms]

    def total(out: Tensor, samples: Samples) -> Tensor:
        at, fields = out.ndim - 1 - axes, samples.states.shape[-1 - axes]
        groups = out.reshape(*out.shape[:at], -1, fields, *out.shape[at + 1 :])
        means = groups.narrow(at, 0, 1) if isinstance(answer, Gaussian) else groups
        states = means.movedim(-axes, -1 - axes).flatten(-axes)  # (*lead, group, t, n)
        asked = iter(samples.asked)
        each = [
            term(states, [next(asked).unsqueeze(-3) for _ in term.given.series], own).mean(-1)
            for term, own in zip(terms, tables, strict=True)
        ]
        return torch.stack(each).sum(0)

    return total
