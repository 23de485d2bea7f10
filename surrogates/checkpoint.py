"""Run folders: `model.safetensors`, `config.json`, `log.jsonl`, `train_state.pt`. Loading never runs code."""

import os
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_type_hints

import safetensors
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from safetensors.torch import load_file, save_file

from lawbound.datasets.plugins import UnknownName, find
from lawbound.datasets.store import first_problem, write_text
from lawbound.surrogates.surrogate import Learner, Origin, Surrogate

MODEL, CONFIG, LOG, TRAIN_STATE = "model.safetensors", "config.json", "log.jsonl", "train_state.pt"


class RunConfig(BaseModel):
    """What `config.json` says of a run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    lawbound: str
    surrogate: str
    options: dict[str, Any]
    seed: int
    origin: Origin
    constraints: list[str] = []


def save(folder: Path, learner: Learner, surrogate: Surrogate, *, seed: int) -> None:
    """Write weights, then configuration, each under a temporary name first."""
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{MODEL}.{os.getpid()}.tmp"
    try:
        save_file(
            {name: tensor.detach().cpu().contiguous() for name, tensor in surrogate.tensors().items()},
            temporary,
        )
        os.replace(temporary, folder / MODEL)
    finally:
        temporary.unlink(missing_ok=True)
    config = RunConfig(
        lawbound=version("lawbound"),
        surrogate=learner.name,
        options=dict(learner.options()),
        seed=seed,
        origin=surrogate.origin,
        constraints=list(getattr(learner, "specs", ())),
    )
    write_text(folder / CONFIG, config.model_dump_json(indent=1) + "\n")


def read_config(folder: Path) -> RunConfig:
    """The configuration of a run; raises `ValueError` if the folder holds no finished run."""
    try:
        return RunConfig.model_validate_json((folder / CONFIG).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(
            f"{folder} has no {CONFIG}, so it is not a finished run; train one with `lawbound train -o {folder}`."
        ) from None
    except (ValidationError, UnicodeDecodeError) as error:
        raise ValueError(
            f"{folder / CONFIG} is damaged or of another version ({first_problem(error)}); train again into a new folder."
        ) from None


def check_types(learner: type, options: Mapping[str, Any]) -> None:
    """Raise `ValueError` for an option of the wrong type: options come from files and command lines."""
    hints = get_type_hints(learner)
    for name, value in options.items():
        try:
            TypeAdapter(hints.get(name, Any)).validate_python(value, strict=True)
        except ValidationError as error:
            raise ValueError(
                f"The option {name}={value!r} is not right: {error.errors()[0]['msg']}."
            ) from None


def load(
    folder: str | Path, constrained: Callable[[Learner, Sequence[str]], Learner] | None = None
) -> Surrogate:
    """The surrogate in a run folder; raises `ValueError` if a file is missing, truncated or does not fit.

    constrained: what gives a learner the enforcements of these names, for runs that were trained with any.
    """
    folder = Path(folder)
    config = read_config(folder)
    if config.constraints and constrained is None:
        raise ValueError(
            f"{folder} was trained with {', '.join(config.constraints)}, which `lawbound.load` reads; use that."
        )
    try:
        kind = find("surrogates", config.surrogate)
        check_types(kind, config.options)
        learner: Learner = kind(**config.options)
        if config.constraints and constrained is not None:
            learner = constrained(learner, config.constraints)
        tensors = load_file(folder / MODEL)
        return learner.restore(tensors, config.origin)
    except FileNotFoundError:
        raise ValueError(f"{folder} has no {MODEL}; train again into this folder.") from None
    except UnknownName:
        raise
    except (safetensors.SafetensorError, TypeError, KeyError, RuntimeError, ValueError) as error:
        raise ValueError(
            f"{folder / MODEL} does not fit a `{config.surrogate}` of this version ({error}); train it again."
        ) from None
