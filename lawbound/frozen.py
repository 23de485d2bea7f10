"""The originals' released networks as they are: only what is imposed on them is ours.

What stands beside our numbers under `published` was re-evaluated from the released weights (forward passes in
NumPy, dropout active, 40 draws, 201 points), since the network is the same.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.resources import as_file, files

import xarray as xr

from lawbound.comparison import judge
from lawbound.datasets.store import read
from lawbound.evidence import Comparison
from lawbound.known_values import beside
from lawbound.published import published
from lawbound.rules import FEW, few, rules
from lawbound.surrogates.prediction import from_moments

#: Problems of which there is a released network, and what their tables show.
FROZEN: Mapping[str, str] = {
    "stefan": "Stefan, u* = 0.6 and 0.5: ProbConserv's released network under our constraints",
    "pme": "porous medium, m = 1, 3, 6: ProbConserv's released network under our constraints",
}


def frozen_data(problem: str, *, draws: bool = False) -> xr.Dataset:
    """Predictions of the original network on its test set at the time of interest; moments, or single draws."""
    name = f"frozen-{problem}{'-draws' if draws else ''}.nc"
    with as_file(files("lawbound") / "data" / name) as path:
        return read(path)


def frozen(
    problem: str,
    *,
    quick: bool = False,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Comparison:
    """The original network's predictions, unconstrained and by `rules`; quick: by HardC, ProbConserv and `auto` on the law."""
    compared = judge(
        {"anp": lambda part, at: from_moments(part)},
        frozen_data(problem),
        few(problem) if quick else rules(problem),
        table=f"frozen/{problem}",
        on_progress=on_progress,
    )
    reduced = f"{', '.join(FEW)} alone of {len(rules(problem))} ways to impose laws" if quick else ""
    return replace(beside(compared, published(f"probconserv/{problem}")), reduced=reduced)
