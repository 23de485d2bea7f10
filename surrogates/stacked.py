"""Networks of one shape as one: every weight has a first dimension that counts them, every product is a batched one."""

import copy
from collections.abc import Sequence
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap


@final
class Stacked(nn.Module):
    """Members that know nothing of each other, (member, sample, in, …) → (member, sample, out, …).

    A network inside an enforcement (`lawful.Lawful`) is called as it is alone, its tables being those of all members.

    A loss that is a sum over members, and an optimiser that treats each number by itself (Adam), train each member as it
    would be trained alone, up to rounding.
    """

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        weights, buffers = stack_module_state(list(members))
        # Names of parameters may hold no dots.
        self._names = {_flat(name): name for name in (*weights, *buffers)}
        for name, tensor in weights.items():
            self.register_parameter(_flat(name), nn.Parameter(tensor.detach()))
        for name, tensor in buffers.items():
            self.register_buffer(_flat(name), tensor)
        # In a tuple, so that its own weights, which are never used, are not among the parameters.
        self._skeleton = (copy.deepcopy(members[0]).to("meta"),)

    def forward(
        self,
        inputs: Tensor | tuple[Tensor, ...],
        tables: tuple[Tensor, ...] = (),
        channels: Tensor | None = None,
        base: Tensor | None = None,
    ) -> Tensor:
        """All members' answers, each to its own inputs."""
        given = {
            name: tensor for name, tensor in (("channels", channels), ("base", base)) if tensor is not None
        }
        weights = {
            self._names[name]: tensor for name, tensor in (*self.named_parameters(), *self.named_buffers())
        }
        (skeleton,) = self._skeleton
        skeleton.train(self.training)

        def one(state: dict[str, Tensor], values: Any, more: dict[str, Tensor]) -> Tensor:
            inputs = (values,) if isinstance(values, Tensor) else (values, tables)
            return functional_call(skeleton, state, inputs, more)

        return vmap(one, randomness="different")(weights, inputs, given)

    def member(self, number: int) -> dict[str, Tensor]:
        """The state of one member, under its own names."""
        return {self._names[name]: tensor[number] for name, tensor in self.state_dict().items()}


def _flat(name: str) -> str:
    return name.replace(".", "/")


def clip_members(network: nn.Module, max_norm: float) -> None:
    """Scale each member's gradients so that their norm is no more than this, as if it were trained alone."""
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    norms = torch.stack([gradient.flatten(1).norm(dim=1) for gradient in gradients]).norm(dim=0)
    factors = (max_norm / (norms + 1e-6)).clamp(max=1.0)
    for gradient in gradients:
        gradient.mul_(factors.view(-1, *[1] * (gradient.ndim - 1)))
