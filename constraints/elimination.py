"""The elimination step of kernel corrections, for kernels that are matrices and pivots of any sign.

Two walls, functionals L_0 and L_1 on them (values, or stencils of a slope), columns V_j = K e_j of the points at the walls,
M_ij = L_i V_j, a block over the channels. Changing the input at the walls by δ turns K a into K a + V δ, and

    L_1 K(a + δ) = M_11 a_1,    L_0 K(a + δ) = (M_00 − M_01 M_11⁻¹ M_10) a_0:

what reaches a wall is what was at that wall, nothing else. For one channel these are the identities of two steps of
Gaussian elimination, the left wall's first (Saad et al., ICLR 2023, arXiv:2212.07477, section 3), from one product K a.
"""

import torch
from torch import Tensor


def damped_solve(matrix: Tensor, rhs: Tensor, floor: float) -> Tensor:
    """(Mᴴ M + ε²)⁻¹ Mᴴ r, ε being `floor` times the largest entry of all M: M⁻¹ r unless a pivot is about zero.

    matrix: (..., n, n). rhs: (..., n, k). Singular values s act as s + ε²/s, so that no sign is ever lost. The augmented
    matrix [[ε, M], [Mᴴ, −ε]] has singular values √(s² + ε²); Mᴴ M itself would square the condition.
    """
    n = matrix.shape[-1]
    least = torch.finfo(matrix.dtype).tiny ** 0.25
    epsilon = (floor * matrix.detach().abs().amax()).clamp_min(least)
    diagonal = epsilon * torch.eye(n, dtype=matrix.dtype, device=matrix.device).expand_as(matrix)
    whole = torch.cat([torch.cat([diagonal, matrix], -1), torch.cat([matrix.mH, -diagonal], -1)], -2)
    solved = torch.linalg.solve(whole, torch.cat([rhs, torch.zeros_like(rhs)], -2))
    return solved[..., n:, :]


def kept(blocks: Tensor, values: Tensor, floor: float) -> Tensor:
    """What elimination leaves at each wall of the values there, (..., wall, channel, k).

    blocks: M, (..., wall, out, wall, in), one wall or two. values: a at the walls, (..., wall, in, k).
    """
    last = blocks[..., -1, :, -1, :]
    if blocks.shape[-2] == 1:
        return (last @ values[..., -1, :, :]).unsqueeze(-3)
    first, right, left = blocks[..., 0, :, 0, :], blocks[..., 0, :, 1, :], blocks[..., 1, :, 0, :]
    begin = values[..., 0, :, :]
    at_first = first @ begin - right @ damped_solve(last, left @ begin, floor)
    return torch.stack([at_first, last @ values[..., 1, :, :]], -3)


def change(blocks: Tensor, images: Tensor, values: Tensor, floor: float) -> Tensor:
    """δ with L K(a + δ) = `kept(blocks, a)`, (..., wall, in, k); images: L K a, (..., wall, out, k)."""
    walls, outputs, _, inputs = blocks.shape[-4:]
    gap = (kept(blocks, values, floor) - images).flatten(-3, -2)
    matrix = blocks.reshape(*blocks.shape[:-4], walls * outputs, walls * inputs)
    delta = damped_solve(matrix, gap, floor)
    return delta.reshape(*delta.shape[:-2], walls, inputs, delta.shape[-1])
