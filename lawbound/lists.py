"""What is installed, plug-ins included: rows for programs, and the same for people."""

from collections.abc import Callable
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from lawbound.terminal import cell, duration


def shown(what: str, rows: list[dict[str, Any]]) -> RenderableType:
    """Rows as a person reads them."""
    match what:
        case "problems":
            return _paragraphs(rows)
        case "pretrained":
            return _networks(rows)
    return _table(rows)


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in rows[0] if rows else ():
        table.add_column(column)
    for row in rows:
        table.add_row(*map(cell, row.values()))
    return table


def _by_name() -> Table:
    """For what has too much to say for a line of a table."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 1, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    return table


def _networks(rows: list[dict[str, Any]]) -> Table:
    """What a network is, and what made it."""
    table = _by_name()
    for row in rows:
        told = Text(f"{row['surrogate']} of {row['problem']}: {row['what']}\n")
        told.append(f"{row['data']}; seed {row['seed']}\n", style="dim").append(
            "\n".join(row["commands"]), style="dim"
        )
        table.add_row(row["name"], told)
    return table


def _paragraphs(rows: list[dict[str, Any]]) -> Group:
    """Problems."""
    table = _by_name()
    for row in rows:
        where = f"{row['splits']['train']}; t in {row['t']}; x in {row['x']}; {row['grid']}; {', '.join(row['laws'])}"
        if row["core_seconds_per_sample"] is not None:
            where += f"; {duration(row['core_seconds_per_sample'])} of one core a sample"
        table.add_row(row["name"], Text(f"{row['what']}\n{row['equation']}\n").append(where, style="dim"))
    splits = sorted({split for row in rows for split in row["splits"]}, key=_order)
    return Group(
        table, Text(f"Ranges are those of the split train. Splits: {', '.join(splits)}; all ranges: --json.")
    )


def _order(split: str) -> tuple[int, str]:
    known = (
        "train",
        "valid",
        "test",
        "in-range",
        "shift-train",
        "shift-small",
        "shift-medium",
        "shift-large",
    )
    return (known.index(split) if split in known else len(known), split)


def _problems() -> list[dict[str, Any]]:
    from lawbound.datasets.catalogue import entries

    return [
        {
            "name": entry.name,
            "what": entry.title,
            "equation": entry.equation,
            "parameters": entry.parameters,
            "splits": entry.splits,
            "x": entry.domain,
            "t": entry.times,
            "grid": entry.grid,
            "laws": list(entry.laws),
            "core_seconds_per_sample": entry.core_seconds,
        }
        for entry in entries()
    ]


def _surrogates() -> list[dict[str, Any]]:
    from lawbound.datasets.plugins import load_all

    return [
        {"name": name, "what": kind.summary, "options": dict(kind().options())}
        for name, kind in load_all("surrogates").items()
    ]


def _constraints() -> list[dict[str, Any]]:
    from lawbound.constraints.enforcement import ENFORCEMENTS
    from lawbound.datasets.plugins import load_all
    from lawbound.specs import IN_TRAINING

    return [
        {
            "name": name,
            "what": (kind.__doc__ or "").splitlines()[0],
            "needs": list(kind().inputs),
            "how": [how for how in (*ENFORCEMENTS, *IN_TRAINING) if _goes(kind(), how)],
        }
        for name, kind in load_all("constraints").items()
    ]


def _goes(constraint: Any, how: str) -> bool:
    """Whether an enforcement takes all parts that the constraint surely has; the operator takes rows alone."""
    from lawbound.constraints.applicability import certain, entries

    return all(how != "operator" and entries(how, part) for _, part in certain(constraint))


def _scores() -> list[dict[str, Any]]:
    from lawbound.datasets.plugins import load_all
    from lawbound.score_list import DEFAULTS

    usual = {score.name for score in DEFAULTS}
    return [
        {
            "name": name,
            "what": score.metric.meaning,
            "best": {"low": "low", "high": "high", None: "–"}.get(score.metric.aim, f"{score.metric.aim}"),
            "usual": "yes" if name in usual else "",
        }
        for name, score in load_all("scores").items()
    ]


def _tables() -> list[dict[str, Any]]:
    from lawbound.reproduce import tables

    return [{"name": name, "what": what} for name, what in tables().items()]


def _pretrained() -> list[dict[str, Any]]:
    from lawbound.pretrained import rows

    return rows()


#: Rows by what is listed, for programs as they are.
LISTS: dict[str, Callable[[], list[dict[str, Any]]]] = {
    "problems": _problems,
    "surrogates": _surrogates,
    "constraints": _constraints,
    "scores": _scores,
    "tables": _tables,
    "pretrained": _pretrained,
}
