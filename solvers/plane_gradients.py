"""Conjugate gradients for one Newton step of an implicit stage on a plane of cells: compiled.

The system is (1/d − S D S) z = right-hand side, with S = √(K/d) and d the diagonal of 1 − D K: see `plane_stage`.
"""

import numpy as np
from numpy.typing import NDArray

from lawbound.solvers.compiled import compiled
from lawbound.solvers.plane_arithmetic import add_products, copy, dot, sum_of
from lawbound.solvers.plane_walls import wrap

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@compiled
def conjugate_gradients(
    share: FloatArray,
    root: FloatArray,
    extra: FloatArray,
    kinds: IntArray,
    cx: float,
    cy: float,
    relative: float,
    residual: FloatArray,  # (ny, nx) the right-hand side, used up
    z: FloatArray,  # (ny, nx) out
    direction: FloatArray,
    image: FloatArray,
    framed: FloatArray,
) -> None:
    """Solve until the residual is `relative` times the right-hand side."""
    ny, nx = z.shape
    z[:] = 0.0
    copy(residual, direction)
    size = dot(residual, residual)
    enough = relative * relative * size
    for _ in range(10 * (nx + ny) + 100):
        if not size > enough:
            return
        step = size / _applied(direction, share, root, extra, kinds, cx, cy, framed, image)
        for j in range(ny):
            r, p, q, found = residual[j], direction[j], image[j], z[j]
            for i in range(nx):
                found[i] += step * p[i]
                r[i] -= step * q[i]
        old, size = size, dot(residual, residual)
        turn = size / old
        for j in range(ny):
            r, p = residual[j], direction[j]
            for i in range(nx):
                p[i] = r[i] + turn * p[i]


@compiled
def _applied(
    z: FloatArray,
    share: FloatArray,  # 1 / d
    root: FloatArray,  # S
    extra: FloatArray,  # what walls add to the diagonal of D
    kinds: IntArray,
    cx: float,
    cy: float,
    framed: FloatArray,  # work
    out: FloatArray,
) -> float:
    """out = (1/d − S D S) z; returns z · out."""
    ny, nx = z.shape
    for j in range(ny):
        inner, row, s = framed[j + 1, 1 : nx + 1], z[j], root[j]
        for i in range(nx):
            inner[i] = s[i] * row[i]
    wrap(framed, kinds)
    sums = np.zeros((2, nx))
    for j in range(ny):
        left, mid, right = framed[j + 1, :nx], framed[j + 1, 1 : nx + 1], framed[j + 1, 2:]
        below, above = framed[j, 1 : nx + 1], framed[j + 2, 1 : nx + 1]
        row, a, s, more, found = z[j], share[j], root[j], extra[j], out[j]
        for i in range(nx):
            along_x = cx * ((mid[i] - left[i]) + (mid[i] - right[i]))
            along_y = cy * ((mid[i] - below[i]) + (mid[i] - above[i]))
            found[i] = a[i] * row[i] + s[i] * ((along_x + along_y) + more[i] * mid[i])
        add_products(row, found, sums)
    return sum_of(sums)
