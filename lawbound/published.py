"""What the papers say, or what their released code and weights give: the figures that stand beside ours.

They live in `data/published.csv`, one figure a line with where it comes from; none of them is ours.
"""

import csv
import io
import math
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType

from lawbound.datasets.plugins import UnknownName, suggestion

#: (method, case, metric) → (value, source)
Figures = Mapping[tuple[str, str, str], tuple[float, str]]
COLUMNS = ("table", "method", "case", "metric", "value", "source")
#: Of some no figure could be found.
TABLES = (
    "probconserv/diffusion", "probconserv/pme", "probconserv/stefan", "probconserv/advection", "probconserv/burgers",
    "probconserv/shock-location", "probconserv/sigma", "diverseno/ood", "boon/stokes", "boon/heat-neumann",
    "boon/burgers-dirichlet", "boon/burgers-periodic", "boon/burgers-random", "boon/wave-2d", "boon/cavity",
)  # fmt: skip


def published(table: str) -> Figures:
    """Figures of a table in plain units, (method, case, metric) → (value, source); empty where none is known.

    Raises `UnknownName`, with a suggestion, for a table that there is not.

    >>> published("probconserv/diffusion")["hardc", "k=1", "mse"]
    (0.000137, 'Hansen et al., ICML 2023, Table 1')
    >>> len(published("boon/wave-2d"))
    0
    """
    if table not in TABLES:
        raise UnknownName(
            f"`{table}` is not a table of published figures; there are {', '.join(TABLES)}."
            f"{suggestion(table, TABLES)}"
        )
    return _all()[table]


@cache
def _all() -> Mapping[str, Figures]:
    """Every table; raises `ValueError` for a line that is twice there, of no known table or without a number."""
    found: dict[str, dict[tuple[str, str, str], tuple[float, str]]] = {table: {} for table in TABLES}
    text = (files("lawbound") / "data" / "published.csv").read_text(encoding="utf-8")
    lines = csv.DictReader(io.StringIO(text))
    if tuple(lines.fieldnames or ()) != COLUMNS:
        raise ValueError(f"published.csv has the columns {lines.fieldnames}; it needs {', '.join(COLUMNS)}.")
    for line in lines:
        key = (line["method"], line["case"], line["metric"])
        value = float(line["value"])
        if line["table"] not in found or key in found[line["table"]] or not math.isfinite(value):
            raise ValueError(
                f"published.csv, line {lines.line_num}: {line} is of no known table, there twice, or not finite."
            )
        found[line["table"]][key] = (value, line["source"])
    return MappingProxyType({table: MappingProxyType(figures) for table, figures in found.items()})
