"""The report: one HTML file that needs nothing else, with the same numbers as CSV and JSON beside it."""

import base64
import csv
import io
import json
import math
import os
import platform
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from threading import get_ident
from typing import Any, final

from jinja2 import Environment, StrictUndefined
from matplotlib.figure import Figure

from lawbound import table
from lawbound.evidence import Case, Comparison
from lawbound.figure_list import figures_of
from lawbound.ink import to_svg, to_webp
from lawbound.naming import pieces
from lawbound.plane_figures import film, has_planes
from lawbound.reference import SOLVER
from lawbound.score import Metric

#: Tells our reports from other people's files; it stands at the head of the template.
_MARK = '<meta name="generator" content="lawbound"'
_CSV = ("table", "method", "case", "metric", "value", "stderr", "published", "source", "low", "high")
#: Characters that all drawings of a file may have, so that it stays below 10 MB.
_DRAWN = 8_000_000
_VERSIONS = ("lawbound", "numpy", "scipy", "torch", "xarray", "matplotlib")
_GROUPS = {"mean": "Mean", "spread": "Distribution", "front": "Front", "law": "Laws", "other": "Other"}
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def write_report(
    comparisons: Sequence[tuple[str, Comparison]],
    path: str | Path,
    *,
    title: str,
    config: Mapping[str, object],
    command: str,
) -> list[Path]:
    """Write `path` (HTML) and, beside it, the same name with .csv and .json; return the three paths.

    comparisons: sections, each with its heading. Nothing is written unless everything could be made. Raises
    `ValueError` for no comparison, and for a path that does not end in .html.
    """
    where = check_path(path)
    if not comparisons:
        raise ValueError("There is no comparison to report.")
    made = {
        where: _html(comparisons, title, config, command),
        where.with_suffix(".csv"): _csv(comparisons),
        where.with_suffix(".json"): json.dumps(as_json(comparisons, title), indent=1, allow_nan=False) + "\n",
    }
    where.parent.mkdir(parents=True, exist_ok=True)
    _write_all(made)
    return list(made)


def check_path(path: str | Path) -> Path:
    """The path, if a report may be written there; raises `ValueError` before any work is done if not."""
    where = Path(path)
    if where.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"The report would be {where}; give a name that ends in .html.")
    if where.parent.exists() and not where.parent.is_dir():
        raise ValueError(
            f"{where.parent} is a file, so {where.name} cannot be written into it; give another place."
        )
    if where.exists() and _MARK not in where.read_text(encoding="utf-8", errors="replace")[:4000]:
        raise ValueError(f"{where} exists and is not a report of lawbound; give another name.")
    return where


def as_json(comparisons: Sequence[tuple[str, Comparison]], title: str) -> dict[str, Any]:
    """One comparison's own object; of several, all rows, each with its table, and the parts. NaN becomes null."""
    if len(comparisons) == 1:
        found = comparisons[0][1].to_json()
    else:
        parts = [{"title": heading, **comparison.to_json()} for heading, comparison in comparisons]
        rows = [{"table": part["table"], **row} for part in parts for row in part["rows"]]
        quick = any(part["quick"] for part in parts)
        found = {"table": title, "quick": quick, "rows": rows, "parts": parts}
    finite: dict[str, Any] = _finite(found)
    return finite


def _finite(value: Any) -> Any:
    """JSON knows no NaN and no infinity."""
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _csv(comparisons: Sequence[tuple[str, Comparison]]) -> str:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, _CSV, lineterminator="\n")
    writer.writeheader()
    for _, comparison in comparisons:
        writer.writerows({"table": comparison.table, **asdict(row)} for row in comparison.rows)
    return stream.getvalue()


def _write_all(made: Mapping[Path, str]) -> None:
    """Each under a temporary name; renamed when all are on the disk."""
    temporary = {path: path.with_name(f".{path.name}.{os.getpid()}-{get_ident()}.tmp") for path in made}
    try:
        for path, text in made.items():
            temporary[path].write_text(text, encoding="utf-8", newline="")
        for path in made:
            os.replace(temporary[path], path)
    finally:
        for leftover in temporary.values():
            leftover.unlink(missing_ok=True)


@final
@dataclass(frozen=True)
class _Figure:
    """A drawing as the page shows it."""

    source: str
    caption: str
    wide: bool
    still: str = ""  # instead of what moves, for paper and for readers who want nothing to move
    as_bitmap: Callable[[], str] | None = None  # the same, often smaller


def _html(
    comparisons: Sequence[tuple[str, Comparison]], title: str, config: Mapping[str, object], command: str
) -> str:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(files("lawbound").joinpath("report.html").read_text(encoding="utf-8"))
    sections = [_section(heading, comparison) for heading, comparison in comparisons]
    _lighten([case["figures"] for section in sections for case in section["cases"]])
    return template.render(
        title=title,
        sections=sections,
        glossary=_glossary(comparisons),
        symbols={"best": table.BEST, "absent": table.ABSENT, "plus_minus": table.PLUS_MINUS},
        config=[(key, _plain(value)) for key, value in config.items()],
        command=command,
        hashes=list({item: None for _, comparison in comparisons for item in comparison.hashes.items()}),
        versions=[(name, version(name)) for name in _VERSIONS] + [("python", platform.python_version())],
    )


def _glossary(comparisons: Sequence[tuple[str, Comparison]]) -> list[Metric]:
    """Every column's metric, each once."""
    metrics = [metric for _, comparison in comparisons for metric in table.known_metrics(comparison)]
    return list({metric.key: metric for metric in metrics}.values())


def _section(heading: str, comparison: Comparison) -> dict[str, Any]:
    return {
        "heading": heading,
        "table": comparison.table,
        "reduced": comparison.reduced,
        "verdict": _powers(comparison.verdict).replace(" %", "\u00a0%"),
        "cases": [
            {
                "name": section.case.name,
                "headline": table.headline(comparison, section.case),
                "groups": _groups(section),
                "columns": [_column(column) for column in section.columns],
                "methods": [_method(comparison, section, i) for i in range(len(section.methods))],
                "figures": list(_figures(comparison, section.case)),
            }
            for section in table.sections(comparison)
        ],
        "told": _told(comparison),
        "footnotes": table.footnotes(comparison),
    }


def _groups(section: table.Section) -> list[tuple[str, int]]:
    """What stands above the columns' own headers, and over how many."""
    names = [column.metric.group for column in section.columns]
    return [(_GROUPS[name], names.count(name)) for name in dict.fromkeys(names)]


def _column(column: table.Column) -> dict[str, Any]:
    metric = column.metric
    return {
        "label": metric.label,
        "arrow": metric.arrow,
        "unit": _typeset(column.unit),
        "meaning": metric.meaning,
        "opens": metric.group,
    }


def _method(comparison: Comparison, section: table.Section, i: int) -> dict[str, Any]:
    name = section.methods[i]
    cells = [column.cells[i] for column in section.columns]
    return {
        "pieces": pieces(name),
        "kind": "solver" if name == SOLVER else "lawful" if comparison.inputs.get(name) else "free",
        "cells": [_cell(cell, column) for cell, column in zip(cells, section.columns, strict=True)],
        "published": [
            _padded(cell.published, column) if cell and cell.published else None
            for cell, column in zip(cells, section.columns, strict=True)
        ]
        if any(cell and cell.published for cell in cells)
        else None,
    }


def _cell(cell: table.Cell | None, column: table.Column) -> dict[str, Any] | None:
    if cell is None:
        return None
    row = cell.row
    error = "" if row.stderr is None else f" {table.PLUS_MINUS} {row.stderr:.6g}"
    interval = (
        "" if row.low is None or row.high is None else f"; 95 % interval {row.low:.4g} to {row.high:.4g}"
    )
    return {
        "value": _padded(cell.number, column),
        "error": _typeset(cell.number.error) + _padding(cell.number, column) if cell.number.error else "",
        "best": cell.best,
        "exact": f"{row.value:.6g}{error}{interval}" + (f"; {row.source}" if row.source else ""),
    }


def _padded(number: table.Number, column: table.Column) -> str:
    return _typeset(number.value) + _padding(number, column)


def _padding(number: table.Number, column: table.Column) -> str:
    """Blanks as wide as digits, so that decimal points stand one below the other."""
    written = [other for cell in column.cells if cell for other in (cell.number, cell.published) if other]
    longest = max((len(other.fraction) for other in written if "e" not in other.fraction), default=0)
    missing = 0 if "e" in number.fraction else longest - len(number.fraction)
    if missing <= 0:
        return ""
    return "\u2008" + "\u2007" * (missing - 1) if not number.fraction else "\u2007" * missing


def _typeset(number: str) -> str:
    """-3e-17 as −3×10⁻¹⁷, ×1e-4 as ×10⁻⁴."""
    return _powers(number.replace("×1e", "×e")).replace("-", "−")


def _powers(text: str) -> str:
    """1.5e-16 within a sentence as 1.5×10⁻¹⁶."""
    return re.sub(
        r"(\b\d+(?:\.\d+)?|×)e(-?\d+)\b",
        lambda match: f"{match[1].rstrip('×')}×10{match[2].translate(_RAISED)}",
        text,
    )


def _told(comparison: Comparison) -> dict[str, Any]:
    """Which declared inputs each method used beyond the data that its surrogate saw."""
    by_inputs: dict[tuple[str, ...], list[str]] = {}
    for method in comparison.methods:
        if method != SOLVER:
            by_inputs.setdefault(tuple(comparison.inputs.get(method, ())), []).append(method)
    return {
        "source": comparison.rhs_source,
        "explained": table.RHS_SOURCES.get(comparison.rhs_source, ""),
        "methods": [
            (methods, [(name, _in_words(name)) for name in inputs]) for inputs, methods in by_inputs.items()
        ],
    }


def _in_words(name: str) -> str:
    law = re.fullmatch(r"law_(\w+)_rhs", name)
    if law:
        return f"the right-hand side b(t) of the {law[1].replace('_', ' ')} law"
    return "values at a wall" if name.startswith("bc_") else "a declared input"


def _figures(comparison: Comparison, case: Case) -> Iterator[_Figure]:
    for drawn in figures_of(comparison, case):
        yield _Figure(
            _inline("svg+xml", to_svg(drawn.make()).encode()),
            drawn.caption,
            drawn.wide,
            as_bitmap=partial(_bitmap, drawn.make),
        )
    if has_planes(comparison, case.name):
        moving, still = film(comparison, case.name)
        caption = f"The median sample from t = {comparison.t[0]:g} to {comparison.t[-1]:g}, over and over; below, mean minus solver."
        yield _Figure(_inline("webp", moving), caption, True, _inline("webp", still))


def _bitmap(make: Callable[[], Figure]) -> str:
    return _inline("webp", to_webp(make()))


def _lighten(cases: Sequence[list[_Figure]]) -> None:
    """Put bitmaps in the place of the largest drawings, as many as it takes to stay below `_DRAWN` characters in all."""
    total = sum(len(figure.source) + len(figure.still) for figures in cases for figure in figures)
    places = [(i, j) for i, figures in enumerate(cases) for j in range(len(figures))]
    for i, j in sorted(places, key=lambda place: -len(cases[place[0]][place[1]].source)):
        drawn = cases[i][j]
        if total <= _DRAWN:
            return
        if drawn.as_bitmap is not None:
            lighter = min(drawn.as_bitmap(), drawn.source, key=len)
            total -= len(drawn.source) - len(lighter)
            cases[i][j] = replace(drawn, source=lighter)


def _inline(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _plain(value: object) -> str:
    """A setting as text; what is nested as JSON."""
    return value if isinstance(value, str) else json.dumps(_finite(value), default=str, ensure_ascii=False)
