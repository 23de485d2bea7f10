"""Cholesky factorisation of block tridiagonal matrices by odd–even elimination: log₂ N steps over all of the line.

The odd blocks of a chain know only their even neighbours, so all of them are eliminated at once; what is left is
a chain half as long. This is the Cholesky factorisation in another order of the unknowns (cyclic reduction;
Heller, SIAM J. Numer. Anal. 13, 1976), backward stable for positive definite matrices, with O(N b³) work and no
loop over blocks. The same tree gives the entries of the inverse on the blocks (Takahashi's equations).

diagonal: (..., N, b, b); below: (..., N − 1, b, b), below[i] = A[i + 1, i]. Vectors: (..., N, b, columns).
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


class Level(NamedTuple):
    """The blocks eliminated in one step, (..., N // 2, b, b)."""

    root: Tensor  # L, A[odd, odd] = L Lᵀ
    before: Tensor  # L⁻¹ A[odd, odd − 1]
    after: Tensor  # L⁻¹ A[odd, odd + 1]; one fewer if N is even


class Factor(NamedTuple):
    """A = Pᵀ L Lᵀ P, level by level, and the root of the last block."""

    levels: tuple[Level, ...]
    top: Tensor

    @property
    def sizes(self) -> list[int]:
        """Blocks in each part of a whitened vector; they add up to N."""
        return [level.root.shape[-3] for level in self.levels] + [1]


def factorise(diagonal: Tensor, below: Tensor) -> Factor:
    """The factor; raises `ValueError` if the matrix is not positive definite."""
    levels = []
    while diagonal.shape[-3] > 1:
        root = _root(diagonal[..., 1::2, :, :])
        before = _solved(root, below[..., 0::2, :, :])
        after = _solved(root[..., : below.shape[-3] // 2, :, :], below[..., 1::2, :, :].mT)
        levels.append(Level(root, before, after))
        odds, right = before.shape[-3], after.shape[-3]
        diagonal = diagonal[..., 0::2, :, :].clone()
        diagonal[..., :odds, :, :] -= _times(before.mT, before)
        diagonal[..., 1:, :, :] -= _times(after.mT, after)
        below = -_times(after.mT, before[..., :right, :, :])
    return Factor(tuple(levels), _root(diagonal))


def whitened(factor: Factor, vectors: Tensor) -> list[Tensor]:
    """L⁻¹ P v, in the parts of the levels."""
    batch = np.broadcast_shapes(factor.top.shape[:-3], vectors.shape[:-3])
    vectors = vectors.expand(*batch, *vectors.shape[-3:])
    parts = []
    for level in factor.levels:
        odd = _solved(level.root, vectors[..., 1::2, :, :])
        vectors = vectors[..., 0::2, :, :].clone()
        vectors[..., : odd.shape[-3], :, :] -= _times(level.before.mT, odd)
        vectors[..., 1:, :, :] -= _times(level.after.mT, odd[..., : level.after.shape[-3], :, :])
        parts.append(odd)
    return [*parts, _solved(factor.top, vectors)]


def coloured(factor: Factor, parts: list[Tensor]) -> Tensor:
    """Pᵀ L⁻ᵀ z: solves the second half, and makes draws of N(0, A⁻¹) of white noise."""
    vectors = _solved_transposed(factor.top, parts[-1])
    for level, odd in zip(reversed(factor.levels), reversed(parts[:-1]), strict=True):
        odd = odd - _times(level.before, vectors[..., : odd.shape[-3], :, :])
        odd[..., : level.after.shape[-3], :, :] -= _times(level.after, vectors[..., 1:, :, :])
        vectors = _interleaved(vectors, _solved_transposed(level.root, odd))
    return vectors


def solve(factor: Factor, vectors: Tensor) -> Tensor:
    """A⁻¹ v."""
    return coloured(factor, whitened(factor, vectors))


def selected_inverse(factor: Factor) -> tuple[Tensor, Tensor]:
    """The blocks of A⁻¹ on the diagonal, (..., N, b, b), and below it, (..., N − 1, b, b).

    Takahashi, Fagan, Chen 1973: an eliminated block o with neighbours l, r obeys x_o = L⁻ᵀ z − K x_{l,r}, so its
    covariances follow from those of l and r alone.
    """
    diagonal = _inverse(factor.top)
    below = diagonal[..., :0, :, :]
    for level in reversed(factor.levels):
        odds, right = level.before.shape[-3], level.after.shape[-3]
        left_gain = _solved_transposed(level.root, level.before)
        right_gain = _solved_transposed(level.root[..., :right, :, :], level.after)
        to_left = -_times(left_gain, diagonal[..., :odds, :, :])
        to_left[..., :right, :, :] -= _times(right_gain, below)
        to_right = -_times(left_gain[..., :right, :, :], below.mT) - _times(
            right_gain, diagonal[..., 1:, :, :]
        )
        own = _inverse(level.root) - _times(to_left, left_gain.mT)
        own[..., :right, :, :] -= _times(to_right, right_gain.mT)
        diagonal = _interleaved(diagonal, own)
        below = _interleaved(to_left, to_right.mT)
    return diagonal, below


def _interleaved(even: Tensor, odd: Tensor) -> Tensor:
    joined = torch.empty(
        (*even.shape[:-3], even.shape[-3] + odd.shape[-3], *even.shape[-2:]),
        dtype=even.dtype,
        device=even.device,
    )
    joined[..., 0::2, :, :], joined[..., 1::2, :, :] = even, odd
    return joined


# Blocks of size 1 are numbers: a matrix routine called for each of a million of them is the slow way to divide.


def _root(blocks: Tensor) -> Tensor:
    if blocks.shape[-1] == 1:
        root, fails = blocks.clamp_min(0.0).sqrt(), ~(blocks > 0.0)
    else:
        root, info = torch.linalg.cholesky_ex(blocks)
        fails = info != 0
    if bool(fails.any()):
        raise ValueError(
            "The banded precision is not positive definite; check that its diagonal outweighs its other bands."
        )
    return root


def _solved(root: Tensor, vectors: Tensor) -> Tensor:
    if root.shape[-1] == 1:
        return vectors / root
    return torch.linalg.solve_triangular(root, vectors, upper=False)


def _solved_transposed(root: Tensor, vectors: Tensor) -> Tensor:
    if root.shape[-1] == 1:
        return vectors / root
    return torch.linalg.solve_triangular(root.mT, vectors, upper=True)


def _inverse(root: Tensor) -> Tensor:
    if root.shape[-1] == 1:
        return root.square().reciprocal()
    return torch.cholesky_inverse(root)


def _times(left: Tensor, right: Tensor) -> Tensor:
    return left * right if left.shape[-1] == left.shape[-2] == 1 else left @ right
