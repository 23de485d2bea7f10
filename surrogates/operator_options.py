"""Options that all surrogates on grids share."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from lawbound.surrogates import training
from lawbound.surrogates.schedule import Schedule
from lawbound.surrogates.surrogate import InLoss, Inside
from lawbound.surrogates.tasks import Steps, Task, Whole

# Objects, which are named in run folders by what they are on the command line.
ENFORCEMENTS = ("inside", "penalties")

# Options of the training loop, by their names there.
_SETTINGS = (
    "epochs", "learning_rate", "validate_every", "clip_norm", "weight_decay", "schedule", "step_every", "step_factor",
    "patience", "precision", "compile", "deterministic",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class OperatorOptions:
    """What is learnt, and how it is trained.

    fields: names of the fields to learn, apart by spaces; all if None. parameters: read those of the problem, too.
    mode: `whole` predicts all times in one shot, `steps` the next stored state, `unroll` steps of which are trained
    through. inside: an enforcement that is part of the network; penalties: terms of the loss
    (`lawbound.constraints.inside`). Of the rest see `training.Settings`.
    """

    fields: str | None = None
    parameters: bool = False
    mode: Literal["whole", "steps"] = "whole"
    unroll: int = 1
    epochs: int = 100
    batch: int = 20
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    schedule: Schedule = "cosine"
    step_every: int = 50
    step_factor: float = 0.5
    clip_norm: float | None = None
    patience: int | None = None
    validate_every: int = 5
    precision: Literal["float32", "bfloat16"] = "float32"
    compile: bool = False
    deterministic: bool = False
    inside: Inside | None = None
    penalties: tuple[InLoss, ...] = ()

    def __post_init__(self) -> None:
        require_positive(self, "batch", "unroll")
        if self.mode not in ("whole", "steps"):
            raise ValueError(f"mode={self.mode!r}; give whole or steps.")
        if self.unroll > 1 and self.mode == "whole":
            raise ValueError(f"unroll={self.unroll} belongs to mode=steps; give that mode, or leave it out.")
        self.settings()

    def options(self) -> Mapping[str, Any]:
        """The hyperparameters as JSON values."""
        return {one.name: getattr(self, one.name) for one in fields(self) if one.name not in ENFORCEMENTS}

    @property
    def specs(self) -> tuple[str, ...]:
        """The enforcements that it trains with, in the words of the command line."""
        inside = () if self.inside is None else (self.inside,)
        return tuple(one.spec for one in (*inside, *self.penalties))

    def settings(self) -> training.Settings:
        """How to train."""
        return training.Settings(**{name: getattr(self, name) for name in _SETTINGS}, fused=True)

    def task(self) -> Task:
        """What is asked of the network."""
        return Whole() if self.mode == "whole" else Steps(self.unroll)

    def identity(self) -> dict[str, Any]:
        """Options that decide the outcome of training and are not among its settings."""
        own = {name: value for name, value in self.options().items() if name not in _SETTINGS}
        return {**own, "constraints": list(self.specs)} if self.specs else own


def require_positive(options: object, *names: str) -> None:
    """Raise `ValueError` for a count below 1."""
    for name in names:
        if getattr(options, name) < 1:
            raise ValueError(f"{name}={getattr(options, name)}; give an integer of at least 1.")
