"""Several processes that train one network, as `torchrun` starts them; without it, one process and nothing to do.

Gradients of sums over samples add up, so processes that each take a part of every batch take the same steps as one
that takes it whole, up to rounding.
"""

import atexit
import os
from collections.abc import Sequence

import torch
from torch import Tensor
from torch import distributed as dist


def world() -> int:
    """Number of processes."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Number of this process; 0 is the one that writes. Known before the group is formed."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank()
    return int(os.environ.get("RANK", "0")) if int(os.environ.get("WORLD_SIZE", "1")) > 1 else 0


def join(device: str) -> None:
    """Join the group that `torchrun` announced in the environment, if it did and this process is not yet in it.

    Each process of a machine gets a GPU of its own. The group stays until the process ends: a second one would meet
    the first one's addresses.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) < 2 or dist.is_initialized():
        return
    if device == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if device == "cuda" else "gloo")
    atexit.register(dist.destroy_process_group)


def add_up(tensors: Sequence[Tensor]) -> None:
    """Replace each tensor by its sum over the processes; one message for all of them."""
    if world() == 1 or not tensors:
        return
    flat = torch.cat([tensor.flatten() for tensor in tensors])
    dist.all_reduce(flat)
    parts = torch.split(flat, [tensor.numel() for tensor in tensors])
    for tensor, part in zip(tensors, parts, strict=True):
        tensor.copy_(part.view_as(tensor))


def wait_for_all() -> None:
    """Go on once every process is here."""
    if world() > 1:
        dist.barrier()


def share(count: int) -> slice:
    """Which of so many samples of a batch are this process's; the shares differ by one at most.

    >>> share(5)
    slice(0, 5, None)
    """
    return (
        slice(count * rank() // world(), count * (rank() + 1) // world()) if world() > 1 else slice(0, count)
    )
