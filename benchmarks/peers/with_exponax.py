"""exponax: spectral, periodic, compiled by JAX, one exact or exponential step after the other."""

import os

os.environ["JAX_ENABLE_X64"] = "1"
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")

from typing import Any

import exponax as ex
import jax
import jax.numpy as jnp
import numpy as np

from peers.spectral_workloads import Spectral
from peers.timing import timed


def run(work: Spectral, n: int, steps: int = 1, batch: int = 1) -> dict[str, Any]:
    stepper = {"w1": _heat, "w4": _burgers, "w5": _wave}[work.name.split(",")[0]](work, n, steps)
    march = jax.jit(lambda u: jax.lax.fori_loop(0, steps, lambda _, v: stepper(v), u))
    start = jnp.asarray(_start(work, n))
    if batch > 1:
        march = jax.jit(jax.vmap(lambda u: jax.lax.fori_loop(0, steps, lambda _, v: stepper(v), u)))
        start = jnp.tile(start[None], (batch, 1, 1))
    solve = lambda: np.asarray(jax.block_until_ready(march(start)))  # noqa: E731
    answer, cold = timed(solve)
    warm = []
    while len(warm) < 5 or (sum(warm) * batch < 2.0 and len(warm) < 2000):
        answer, took = timed(solve)
        warm.append(took / batch)
    u = answer[-1, 0] if batch > 1 else answer[0]
    return {
        "cold": cold,
        "warm": warm,
        "error": work.error(u[: n // 2 + 1] if work.name.startswith("w5") else u),
    }


def _heat(work: Spectral, n: int, steps: int) -> Any:
    return ex.stepper.Diffusion(1, work.length, n, work.end / steps, diffusivity=1.0)


def _burgers(work: Spectral, n: int, steps: int) -> Any:
    return ex.stepper.Burgers(
        1,
        work.length,
        n,
        work.end / steps,
        diffusivity=work.nu,
        convection_scale=1.0,
        conservative=True,
        order=4,
    )


def _wave(work: Spectral, n: int, steps: int) -> Any:
    # It has no walls: an odd wave on a circle of twice the length.
    return ex.stepper.Wave(1, 2.0 * work.length, n, work.end / steps, speed_of_sound=1.0)


def _start(work: Spectral, n: int) -> np.ndarray:
    if work.name.startswith("w5"):
        x = 2.0 * work.length * np.arange(n) / n
        return np.stack([work.start(x), np.zeros(n)])
    return work.start(work.length * np.arange(n) / n)[None]
