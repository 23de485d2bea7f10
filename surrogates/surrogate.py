"""The interfaces of what is trained and what comes out of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor

from lawbound.datasets import schema
from lawbound.surrogates.prediction import Prediction


@dataclass(frozen=True)
class Progress:
    """What a learner reports after a round of training."""

    epoch: int
    epochs: int
    train: float
    valid: float
    seconds: float


@dataclass(frozen=True)
class Origin:
    """What a surrogate was trained on; a checkpoint remembers it, and `predict` refuses other problems."""

    problem: str
    field: str
    t_span: tuple[float, float]
    x_span: tuple[float, float]
    dataset_sha256: str

    @classmethod
    def of(cls, data: xr.Dataset, field: str) -> "Origin":
        """The origin that a dataset is."""
        t, x = data[schema.TIME].values, data[schema.X].values
        return cls(
            problem=str(data.attrs["lawbound_problem"]),
            field=field,
            t_span=(float(t[0]), float(t[-1])),
            x_span=(float(x[0]), float(x[-1])),
            dataset_sha256=str(data.attrs["lawbound_config_sha256"]),
        )

    def refuse_others(self, data: xr.Dataset) -> None:
        """Raise `ValueError` if the data are of another problem or lack the field."""
        problem = str(data.attrs.get("lawbound_problem"))
        if problem != self.problem:
            raise ValueError(
                f"This surrogate was trained on `{self.problem}`, the data are of `{problem}`; "
                f"give data of `{self.problem}`, or train one on `{problem}`."
            )
        if self.field not in data:
            raise ValueError(
                f"The data have no field `{self.field}`, of which context points are taken; give a full dataset."
            )


class Surrogate(Protocol):
    """A fitted, frozen thing that predicts."""

    @property
    def origin(self) -> Origin:
        """What it was trained on."""
        ...

    def predict(self, inputs: xr.Dataset, *, times: NDArray[np.int64] | None = None) -> Prediction:
        """Predict the field at the stored times with these indices (all if None) from its inputs.

        Of the field itself it reads the context points alone (`lawbound.datasets.points`).
        """
        ...

    def tensors(self) -> dict[str, Tensor]:
        """All numbers that it learned, for `model.safetensors`."""
        ...


class Learner(Protocol):
    """Hyperparameters, and how to fit with them."""

    name: ClassVar[str]
    summary: ClassVar[str]

    def options(self) -> Mapping[str, Any]:
        """The hyperparameters as JSON values; `type(self)(**options)` gives an equal learner."""
        ...

    def fit(
        self,
        train: xr.Dataset,
        valid: xr.Dataset,
        *,
        seed: int = 0,
        device: str = "cpu",
        folder: Path | None = None,
        resume: bool = False,
        on_progress: Callable[[Progress], None] = lambda progress: None,
    ) -> Surrogate:
        """Fit on one split, choose by another; same arguments and seed give the same surrogate.

        With `folder` the state of training is kept there, and `resume` goes on from it.
        """
        ...

    def restore(self, tensors: Mapping[str, Tensor], origin: Origin) -> Surrogate:
        """The surrogate whose `tensors()` these are."""
        ...


def first_state(data: xr.Dataset) -> str:
    """The field that a one-field surrogate learns; raises `ValueError` if there are several."""
    names = schema.state_variables(data)
    if len(names) != 1:
        raise ValueError(f"The dataset has the fields {names}; this surrogate learns exactly one.")
    return names[0]
