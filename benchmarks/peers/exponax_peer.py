"""exponax: Burgers' equation on a period [0, 1] by exponential time differencing, from sin 2πx to t = 1, one case a process.

    python benchmarks/peers/exponax_peer.py '{"nu": 0.01, "points": 128, "steps": 100, "order": 4, "batch": 1}'

Prints one JSON object: `cold` and `warm` seconds of a solve (of one sample, if a batch), `error`, relative in L1 against Cole and
Hopf. It needs jax and exponax, and nothing of ours but the closed form, so it runs in an environment of its own.
"""

import json
import sys
import time
from typing import Any

import jax

jax.config.update("jax_enable_x64", True)

import exponax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

from lawbound.solvers.exact_burgers import cole_hopf_sine  # noqa: E402


def run(
    nu: float, points: int, steps: int, order: int = 4, batch: int = 1, repeats: int = 9
) -> dict[str, Any]:
    stepper = exponax.stepper.Burgers(
        1, 1.0, points, 1.0 / steps, diffusivity=nu, convection_scale=1.0, order=order
    )

    def advance(u: Any) -> Any:
        return exponax.repeat(stepper, steps)(u)

    solve = jax.jit(advance if batch == 1 else jax.vmap(advance))
    x = np.arange(points) / points
    start = jnp.asarray(np.sin(2.0 * np.pi * x))[None]
    if batch > 1:
        start = jnp.tile(start, (batch, 1, 1))
    seconds = []
    for _ in range(repeats + 1):
        begin = time.perf_counter()
        end = solve(start).block_until_ready()
        seconds.append((time.perf_counter() - begin) / batch)
    exact = cole_hopf_sine(nu)(1.0, x)
    error = np.abs(np.asarray(end).reshape(-1, points)[0] - exact).sum() / np.abs(exact).sum()
    return {"cold": seconds[0], "warm": seconds[1:], "error": float(error), "steps": steps}


if __name__ == "__main__":
    print(json.dumps(run(**json.loads(sys.argv[1]))))
