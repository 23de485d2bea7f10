"""What decides the values of a dataset: the configuration of a design, checked at the door, and its samples one by one."""

from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from lawbound.datasets.family import Draw, Family, Uniform
from lawbound.datasets.plugins import find
from lawbound.datasets.split import place
from lawbound.solvers import Grid, Problem

#: So many samples of a design are looked at before anything is solved; the others when their turn comes.
LOOKED_AT = 2048


class Config(BaseModel):
    """Everything that decides the values of a dataset."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    problem: str
    solver: str
    samples: int = Field(gt=0)
    seed: int = Field(ge=0)
    split: str | None
    data: Literal["standard", "random"] = "standard"
    nx: int = Field(ge=4)
    nt: int = Field(ge=2)
    times: tuple[float, float]
    parameters: dict[str, tuple[float, float]]
    shard_size: int = Field(gt=0)

    @property
    def shards(self) -> int:
        """Number of shards."""
        return -(-self.samples // self.shard_size)


def configure(
    problem: str | Family,
    samples: int,
    seed: int = 0,
    split: str | None = None,
    nx: int | None = None,
    nt: int | None = None,
    times: tuple[float, float] | None = None,
    parameters: dict[str, tuple[float, float]] | None = None,
    data: Literal["standard", "random"] = "standard",
    shard_size: int = 64,
) -> tuple[Family, Config]:
    """Check the arguments and fill in the family's defaults; raises `ValueError` naming value, need and remedy."""
    family = problem if isinstance(problem, Family) else find("problems", problem)
    if samples < 1:
        raise ValueError(f"{samples} samples were asked for; give at least 1 (-n).")
    if seed < 0:
        raise ValueError(f"seed={seed}; give an integer ≥ 0.")
    if nx is not None and nx < 4:
        raise ValueError(f"nx={nx} is too few; give at least 4 (the default is {family.nx}).")
    if nt is not None and nt < 2:
        raise ValueError(
            f"nt={nt} output times are too few; give at least 2, the start included (the default is {family.nt})."
        )
    if split is not None and split not in family.splits:
        raise ValueError(f"`{family.name}` has no split `{split}`; it has {', '.join(family.splits)}.")
    for name, (low, high) in (parameters or {}).items():
        if name not in family.parameters:
            raise ValueError(
                f"`{family.name}` has no parameter `{name}`; it has {', '.join(family.parameters)}."
            )
        Uniform(low, high)
    if data == "random" and family.build_random is None:
        raise ValueError(f"`{family.name}` has no other data than its own; leave out data={data!r} (--data).")
    start, stop = times if times is not None else family.times
    if not (np.isfinite(start) and np.isfinite(stop) and 0.0 <= start < stop):
        raise ValueError(
            f"times {start}:{stop} are not a span; give T0:T1 with 0 ≤ T0 < T1 (the default is {family.times[0]:g}:{family.times[1]:g})."
        )
    config = Config(
        problem=family.name,
        solver=family.solver.name,
        samples=samples,
        seed=seed,
        split=split,
        data=data,
        nx=nx if nx is not None else family.nx,
        nt=nt if nt is not None else family.nt,
        times=(float(start), float(stop)),
        parameters={name: (float(low), float(high)) for name, (low, high) in (parameters or {}).items()},
        shard_size=shard_size,
    )
    _check_design(family, config)
    return family, config


def drawn(family: Family, config: Config, sample: int) -> tuple[str, Draw]:
    """(split, draw) of a sample of a design."""
    split, index = place(sample, config.samples, config.split)
    override = {name: Uniform(*span) for name, span in config.parameters.items()}
    return split, family.draw(config.seed, split, index, override)


def problem_of(family: Family, config: Config, draw: Draw, grid: Grid, times: np.ndarray) -> Problem:
    """The problem of a draw; raises `ValueError` for parameters that make none, or none that lasts to the end."""
    build = family.build if config.data == "standard" else family.build_random
    assert build is not None  # `configure` has looked
    problem = build(draw, grid, times)
    if config.data == "standard" and family.exact is not None and family.mass_tolerance is not None:
        _check_front(family, config, draw)
    return problem


def _check_design(family: Family, config: Config) -> None:
    """Refuse, before solving anything, parameters that make no problem, and ends after a front has left."""
    few, ends = family.grid(family.domain, 4), np.array(config.times)
    chosen = np.linspace(0, config.samples - 1, min(config.samples, LOOKED_AT)).astype(int)
    for sample in chosen.tolist():
        problem_of(family, config, drawn(family, config, sample)[1], few, ends)


def _check_front(family: Family, config: Config, draw: Draw) -> None:
    """The closed form of the mass is false once the front has left."""
    assert family.exact is not None
    leaves = family.exact(draw).front_time(family.domain[1])
    if config.times[1] > leaves * (1 + 1e-12):
        values = ", ".join(f"{name}={value:.4g}" for name, value in draw.parameters.items())
        raise ValueError(
            f"`{family.name}` with {values} has its front leave the domain at t={leaves:.4g}, "
            f"before the end t={config.times[1]:g}; its mass formula is false from then on. Give an earlier end "
            f"(--times {config.times[0]:g}:{0.99 * leaves:.3g}) or another range of {', '.join(draw.parameters)}."
        )
