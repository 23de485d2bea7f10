"""lawbound: surrogates of PDE solvers that keep conservation laws and boundary conditions."""

from importlib import import_module
from typing import Any

_WHERE = {
    "check": "lawbound.datasets.check",
    "compare": "lawbound.comparison",
    "enforce": "lawbound.constraints.enforcement",
    "fit": "lawbound.runs",
    "from_arrays": "lawbound.datasets.arrays",
    "generate": "lawbound.datasets.generate",
    "load": "lawbound.runs",
    "open": "lawbound.datasets.store",
    "resolutions": "lawbound.rollout",
    "solve": "lawbound.datasets.gather",
    "stability": "lawbound.rollout",
}
_LAYERS = ("solvers", "datasets", "surrogates", "constraints")

__all__ = [*_LAYERS, *_WHERE]


def __getattr__(name: str) -> Any:
    if name in _LAYERS:
        return import_module(f"lawbound.{name}")
    if name in _WHERE:
        return getattr(import_module(_WHERE[name]), name)
    raise AttributeError(f"lawbound has no `{name}`; it has {', '.join(sorted(__all__))}.")
